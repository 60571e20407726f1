"""The change from an older comparison to a newer one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnkit._messages import join_names, join_quoted
from rnnkit.compare.run import RunResult
from rnnkit.compare.scores import Board, Measure, Scores, differing, settings_of
from rnnkit.compare.summary import environment_lines
from rnnkit.compare.table import NONE, Cell, Table, decimals_of, number
from rnnkit.errors import CompareError

_LARGE = 1e5  # changes from here on are shown with an exponent
_SHOWN = 5  # labels whose settings differ


def difference_table(older: Sequence[RunResult], newer: Sequence[RunResult]) -> Table:
    """Return the change of the median of each label on each task; it is marked if the ranges do not overlap.

    Raises:
        CompareError: they have no label and task in common, or one was sized or trained differently.
    """
    old, new = Board(older), Board(newer)
    measures = [measure for measure in new.measures if measure in old.measures]
    labels = [label for label in new.labels if label in old.labels]
    pairs = [(old.scores(label, each), new.scores(label, each)) for label in labels for each in measures]
    if not any(before.results and after.results for before, after in pairs):
        raise CompareError(
            f"The comparisons have no label and task in common: the older one has {join_quoted(old.labels)}, the newer "
            f"one {join_quoted(new.labels)}"
        )
    _check_settings(pairs)
    rows = [[Cell(label), *(_change(label, each, old, new) for each in measures)] for label in labels]
    return Table(["label", *map(str, measures)], rows, [*_notes(old, new, pairs), *_environments(older, newer)])


def _check_settings(pairs: Sequence[tuple[Scores, Scores]]) -> None:
    problems = [problem for before, after in pairs for problem in _differences(before.results, after.results)]
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CompareError(
            f"The comparisons differ in more than their scores: {'; '.join(problems[:_SHOWN])}{more}. Make both with "
            "the same sizes and training"
        )


def _differences(before: Sequence[RunResult], after: Sequence[RunResult]) -> Iterator[str]:
    """Yield the settings that differ. The limit of time counts only if it stopped a run."""
    before, after = ([each for each in results if each.status != "skipped"] for results in (before, after))
    if not before or not after:
        return
    stopped = any(each.status == "stopped" for each in (*before, *after))
    old, new = settings_of(before[0]), settings_of(after[0])
    names = [name for name in differing([old, new]) if stopped or name != "limit"]
    if names:
        values = ", ".join(f"{name} was {old.get(name)} and is {new.get(name)}" for name in names)
        yield f"{after[0].label!r} on {after[0].task}: {values}"


def _change(label: str, measure: Measure, old: Board, new: Board) -> Cell:
    before, after = old.scores(label, measure), new.scores(label, measure)
    problems = [
        f"{name}: {', '.join(each.problems())}"
        for name, each in (("older", before), ("newer", after))
        if [*each.problems()]
    ]
    if before.median is None or after.median is None:
        return Cell("; ".join([NONE, *problems]))
    places = decimals_of([*before.results, *after.results])
    change = after.median - before.median
    signed = f"{change:+.{places}f}" if abs(change) < _LARGE else f"{change:+.1e}"
    text = f"{signed} ({number(before.median, places)} to {number(after.median, places)})"
    higher = measure.higher_is_better
    outside = before.beats(after, higher_is_better=higher) or after.beats(before, higher_is_better=higher)
    return Cell("; ".join([text, *problems]), marked=outside)


def _notes(old: Board, new: Board, pairs: Sequence[tuple[Scores, Scores]]) -> Iterator[str]:
    yield "Change of the median over seeds, from the older comparison to the newer one."
    yield "* the ranges of the seeds do not overlap."
    if any(len(each.results) == 1 for pair in pairs for each in pair):
        yield "With one seed, every change is outside the range, and may be noise."
    for name, only in (
        ("older", sorted({*old.labels} - {*new.labels})),
        ("newer", sorted({*new.labels} - {*old.labels})),
        ("older", sorted(str(each) for each in {*old.measures} - {*new.measures})),
        ("newer", sorted(str(each) for each in {*new.measures} - {*old.measures})),
    ):
        if only:
            yield f"Only in the {name} one: {join_names(only)}"


def _environments(older: Sequence[RunResult], newer: Sequence[RunResult]) -> Iterator[str]:
    for name, results in (("older", older), ("newer", newer)):
        for line in environment_lines(results):
            yield f"{name}: {line}"
