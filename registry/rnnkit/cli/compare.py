"""`rnnkit compare`: trains kinds on tasks, and shows their scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from rnnkit.cli.command import CommandError, RnnkitCommand, json_option
from rnnkit.cli.console import Console
from rnnkit.cli.output_file import check_output, new_output

if TYPE_CHECKING:
    from rnnkit.compare import Comparison, Table, Task

RESULTS, REPORT = "results.json", "report.html"
_ASCII = str.maketrans("─\N{EM DASH}\N{EN DASH}↑↓", "---^v")  # for terminals without Unicode
_UNITS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(rf"(\d+(?:\.\d+)?)([{''.join(_UNITS)}]?)")


def _duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    if match is None or not 0 < float(match[1]) < float("inf"):
        raise click.BadParameter(f"{value!r} is not a duration: write 90s, 20m or 2h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def _names(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[str]:
    """Return the names in a list; commas in parentheses do not separate."""
    return [name for each in re.split(r",(?![^(]*\))", value or "") if (name := each.strip())]


@click.command(cls=RnnkitCommand)
@click.option("--kinds", callback=_names, required=True, help="Kinds, patterns or all: lstm,gru,'*mgu'.")
@click.option("--tasks", callback=_names, help="Tasks, patterns or all: 'adding(length=200),digits*'.")
@click.option("--data", type=click.Path(path_type=Path), help="A CSV or Parquet file as a task.")
@click.option("--target", help="The column of --data to predict.")
@click.option("--group", help="The column of --data that tells sequences apart.")
@click.option("--time", "time_column", help="The column of --data that orders the steps; else the rows do.")
@click.option("--features", callback=_names, help="The columns of --data for the input; else all others.")
@click.option(
    "--problem",
    type=click.Choice(["classification", "regression"]),
    help="Whether --target is a class or a value; decimal numbers are values by default.",
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each kind and task.")
@click.option(
    "--match",
    type=click.Choice(["parameters", "hidden_size", "time"]),
    default="parameters",
    show_default=True,
    help="Equal for all models: parameters and steps, hidden size and steps, or parameters and time.",
)
@click.option(
    "--parameters", type=click.IntRange(1), default=20_000, show_default=True, help="About how many each has."
)
@click.option("--hidden-size", type=click.IntRange(1), default=48, show_default=True, help="For --match hidden_size.")
@click.option("--layers", type=click.IntRange(1), default=2, show_default=True, help="Layers of each model.")
@click.option("--steps", type=click.IntRange(1), help="Optimizer steps; the task says how many by default.")
@click.option(
    "--seconds", callback=_duration, default="30s", show_default=True, help="Training time, for --match time."
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=4e-3,
    show_default=True,
    help="Peak learning rate.",
)
@click.option("--search", type=click.IntRange(0), default=0, help="Trials of Optuna for each kind and task.")
@click.option("--budget", callback=_duration, help="Time for everything: runs are stopped after equal shares.")
@click.option("--engine", default="loky", show_default=True, help="loky (this machine), dask, ray, or here.")
@click.option("--jobs", type=int, default=-1, help="Runs at the same time; all processors by default.")
@click.option("--address", help="Of the Dask or Ray cluster.")
@click.option("--out", type=click.Path(path_type=Path), help="A folder for results.json and report.html; resumes.")
@click.option("--against", type=click.Path(path_type=Path), help="An older results.json to compare with.")
@json_option
@click.pass_obj
def command(
    console: Console,
    /,
    *,
    kinds: list[str],
    tasks: list[str],
    data: Path | None,
    target: str | None,
    group: str | None,
    time_column: str | None,
    features: list[str],
    problem: Literal["classification", "regression"] | None,
    layers: int,
    out: Path | None,
    against: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train kinds on tasks, and compare them.

    \b
    rnnkit compare --kinds "lstm,gru,mingru" --tasks adding,digits --seeds 5
    rnnkit compare --kinds lstm,gru --data my.csv --target y --group id

    Every model is trained in the same way, on one thread, from several seeds; nothing is tuned without --search. The
    table has the median and the range of each score on the test. With --out, an interrupted comparison continues.
    Needs `pip install "rnnkit[compare]"`. The exit status is 1 if no run has a score.
    """  # noqa: D301  # click reads the escape
    from rnnkit import compare  # imports torch
    from rnnkit.compare.report import require_report

    if data is None and any((target, group, time_column, features, problem)):
        raise click.UsageError(
            "--target, --group, --time, --features and --problem need --data, a CSV or Parquet file."
        )
    if as_json and against is not None:
        raise click.UsageError("--json has no table: leave out --against.")
    older = None if against is None else compare.Comparison.load(against)
    found: Sequence[Task | str] = tasks
    if out is not None:
        require_report()  # before hours of training
        _check_folder(out)
    if data is not None:
        if target is None or group is None:
            raise click.UsageError("--data needs --target, the column to predict, and --group, that of the sequences.")
        table = compare.tasks.from_file(
            data, target=target, group=group, time=time_column, features=features or None, problem=problem
        )
        found = [*found, table]
    if not found:
        raise click.UsageError("Set --tasks, such as --tasks adding,digits, or --data, a CSV or Parquet file.")
    file = None if out is None else out / RESULTS
    result: Comparison = compare.compare(kinds, found, num_layers=layers, file=file, **settings)
    if out is not None:
        _check_folder(out)  # again, since training takes long
        report = out / REPORT
        with new_output(report, force=report.exists(), folder=out) as new:
            result.to_html(new)
        console.note(f"Wrote {file} and {report}")
    if as_json:
        console.json([asdict(each) for each in result.results])
    else:
        _show(console, result.table())
    _require_score(result)
    if older is not None:
        console.raw("")
        _show(console, result.difference(older))


def _check_folder(out: Path) -> None:
    """Check the files of --out, which are replaced if an earlier comparison wrote them."""
    for path, is_own in _files_of(out).items():
        check_output(path, force=True, folder=out)
        if path.exists() and not is_own(path):
            raise CommandError(f"{path} already exists, but is not of a comparison: choose another folder for --out")


def _files_of(out: Path) -> dict[Path, Callable[[Path], bool]]:
    """Return all files that a comparison writes, and whether an existing file is one."""
    from rnnkit.compare.report import is_report
    from rnnkit.compare.resuming import JOURNAL, LOCK
    from rnnkit.compare.search import is_journal

    results, journal = out / RESULTS, (out / RESULTS).with_suffix(JOURNAL)
    return {
        results: lambda _: True,  # reading it says what is wrong
        journal: is_journal,
        out / REPORT: is_report,
        **dict.fromkeys((Path(f"{results}{LOCK}"), Path(f"{journal}{LOCK}")), _is_empty),
    }


def _is_empty(path: Path) -> bool:
    return path.stat().st_size == 0


def _require_score(result: Comparison) -> None:
    if all(each.score is None for each in result.results):
        raise CommandError("No run has a score: see the reasons in the table or the results")


def _show(console: Console, table: Table) -> None:
    text = "\n".join(table.lines(console.width))
    console.raw(text if console.encodes("".join(map(chr, _ASCII))) else text.translate(_ASCII))
