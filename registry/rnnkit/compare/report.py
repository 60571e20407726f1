"""The report of a comparison: one HTML file, with everything in it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from rnnkit._messages import counted, escape_control_chars
from rnnkit.compare.plot import INK, MUTED, plot_curves, plot_scores
from rnnkit.compare.requirements import require
from rnnkit.compare.run import RunResult
from rnnkit.compare.scores import Board, Scores, distinct_labels, flat
from rnnkit.compare.summary import sizes_text, tuning_text
from rnnkit.compare.table import Cell, Table, comparison_table
from rnnkit.compare.training import Training
from rnnkit.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"(?<=#)[\w.-]+")
_MARK = '<meta name="generator" content="rnnkit compare">'


def write_report(results: Sequence[RunResult], path: str | Path) -> None:
    """Write the report to a file."""
    html = report_html(results)
    with atomic_write(path) as temporary:
        temporary.write_text(html, encoding="utf-8", newline="\n")


def report_html(results: Sequence[RunResult]) -> str:
    """Return the report."""
    require_report()
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("rnnkit.compare")
    environment = Environment(autoescape=True, undefined=StrictUndefined, loader=loader)
    table = comparison_table(results)
    return environment.get_template("report.html").render(
        mark=Markup(_MARK),  # noqa: S704  # a constant
        title=_title(results),
        table=table,
        notes=table.notes,
        limitations=list(_limitations(results)),
        has_scores=any(each.score is not None for each in results),
        scores_figure=_svg(plot_scores(results), "scores"),
        has_curves=any(each.curve for each in results),
        curves_figure=_svg(plot_curves(results), "curves"),
        problems=_problems(results),
        trainings=_trainings(results),
        machines=_machines(results),
        specs=_specs(results),
    )


def is_report(path: Path) -> bool:
    """True if a file is the report of a comparison."""
    return path.is_file() and _MARK.encode() in path.read_bytes()


def require_report() -> None:
    """Check that the packages of a report are installed.

    Raises:
        CompareError: one is not installed.
    """
    require("A report", "jinja2", "matplotlib")


def _title(results: Sequence[RunResult]) -> str:
    labels, tasks = {each.label for each in results}, {each.task for each in results}
    return f"Comparison of {counted(len(labels), 'model')} on {counted(len(tasks), 'task')}"


def _limitations(results: Sequence[RunResult]) -> Iterator[str]:
    """Yield what the scores do not show."""
    if any(each.trials for each in results):
        yield f"Models were {tuning_text(results)} each, on the validation: more trials may bring another order."
    else:
        yield (
            "Nothing was tuned: every model has the same optimizer, learning rate and schedule, which suit some better."
        )
    yield f"The models have {sizes_text(results)}; larger ones, trained for longer, may come in another order."
    yield "Each run used one thread of a processor. Seconds depend on the machine, and on what else ran on it."
    if any(len(scores.results) < 5 for scores in _groups(results)):
        yield "Some scores come from fewer than five seeds; their range is a rough estimate of the noise."
    if any(each.status == "stopped" for each in results):
        yield "Some runs were stopped by the limit of time; their scores are those of an unfinished training."
    if any(each.score is None for each in results):
        yield "Medians are of the runs that have a score; those that diverged, failed or were skipped are not in them."


def _groups(results: Sequence[RunResult]) -> list[Scores]:
    board = Board(results)
    return [
        scores for label in board.labels for each in board.measures if (scores := board.scores(label, each)).results
    ]


def _problems(results: Sequence[RunResult]) -> Table:
    names = distinct_labels(results)
    rows = [
        [names[each.key], each.task, str(each.seed), each.status, f"{each.steps:,}", each.error or each.warning]
        for each in results
        if each.status != "finished" or each.warning
    ]
    return _table(["label", "task", "seed", "status", "steps", "problem"], rows)


def _trainings(results: Sequence[RunResult]) -> Table:
    names = [each.name for each in fields(Training)]
    pairs = dict.fromkeys((each.task, each.training) for each in results)
    rows = [[task, *(_text(getattr(training, name)) for name in names)] for task, training in pairs]
    return _table(["task", *(name.replace("_", " ") for name in names)], rows)


def _machines(results: Sequence[RunResult]) -> Table:
    found: dict[str, dict[str, object]] = {}
    runs: dict[str, int] = {}
    for each in results:
        facts = flat(asdict(each.environment))
        key = json.dumps(facts, sort_keys=True)
        found[key], runs[key] = facts, runs.get(key, 0) + 1
    names = list(dict.fromkeys(name for facts in found.values() for name in facts))
    rows = [[f"{runs[key]:,}", *(_text(facts.get(name)) for name in names)] for key, facts in found.items()]
    return _table(["runs", *(name.removeprefix("versions.") for name in names)], rows)


def _specs(results: Sequence[RunResult]) -> dict[str, list[tuple[str, str]]]:
    """Return the specs of each label, each with the tasks it was made for."""
    board = Board(results)
    found: dict[str, dict[str, dict[str, None]]] = {label: {} for label in board.labels}
    for label, specs in found.items():
        for each in board.of_label(label):
            spec = json.dumps(each.spec, indent=2, ensure_ascii=False, default=repr)
            specs.setdefault(spec, {})[each.task] = None
    return {
        escape_control_chars(label): [(", ".join(tasks), escape_control_chars(spec)) for spec, tasks in specs.items()]
        for label, specs in found.items()
    }


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    return Table(columns, [[Cell(text) for text in row] for row in rows])


def _text(value: object) -> str:
    return "none" if value is None else str(value)


def _svg(figure: Figure, name: str) -> str:
    """Return a figure as SVG for a page: in its colours, with ids that start with a name, and without metadata."""
    import matplotlib as mpl

    written = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):  # `savefig` has no arguments for them
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=no_metadata)
    root = ET.fromstring(written.getvalue())  # noqa: S314  # matplotlib wrote it
    for element in root.iter():
        _adapt(element, name)
    root.set("role", "img")
    root.set("aria-label", f"Figure of {name}; the table above has the numbers")
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode")


def _adapt(element: ET.Element, name: str) -> None:
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.get('id')}")
    if _LINK in element.attrib:  # HTML knows no namespaces
        element.set("href", _REFERENCE.sub(lambda found: f"{name}-{found[0]}", element.attrib.pop(_LINK)))
    if "clip-path" in element.attrib:
        element.set("clip-path", _REFERENCE.sub(lambda found: f"{name}-{found[0]}", element.attrib["clip-path"]))
    if "style" in element.attrib:
        style = element.attrib["style"].replace(INK, "var(--ink)").replace(MUTED, "var(--muted)")
        element.set("style", style)
