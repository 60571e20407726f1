"""The tables of a comparison, for a terminal and for a notebook."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from textwrap import shorten
from typing import NamedTuple

from rnnkit._messages import counted, escape_control_chars
from rnnkit._table import Column, fill, table_lines
from rnnkit.compare.run import RunResult
from rnnkit.compare.scores import Board, Scores, distinct_labels
from rnnkit.compare.summary import DASH, number_range, summary_lines

_MARK = "*"
_HTML_WIDTH = 28  # em
_CELL_WIDTH = 24  # of a terminal; longer texts are wrapped
_SHOWN = 3  # errors and warnings
_ERROR_LENGTH = 240
NONE = "\N{EM DASH}"


class Cell(NamedTuple):
    """A cell of a table, and whether it is marked."""

    text: str
    marked: bool = False


@dataclass(frozen=True)
class Table:
    """A table with notes: `str` of it fits the terminal, and notebooks show its HTML.

    Attributes:
        columns: the headings; the first one is that of the labels.
        rows: the cells, from left to right.
        notes: what the table does not say itself.
        numeric: columns whose cells are right-aligned.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    numeric: frozenset[int] = frozenset()

    def lines(self, width: int) -> Iterator[str]:
        """Yield the lines of the table and of its notes, for a terminal with `width` columns.

        A table that is too wide is split between its columns; each part repeats the labels.
        """
        columns = [
            Column(escape_control_chars(name), place in self.numeric, wraps=place not in self.numeric, key=str(place))
            for place, name in enumerate(self.columns)
        ]
        facts = [{str(place): _marked(cell) for place, cell in enumerate(row)} for row in self.rows]
        for part in self._parts(columns, width):
            yield from table_lines(part, facts, width, "─")
            yield ""
        for note in self.notes:
            yield fill(escape_control_chars(note), width)

    def _parts(self, columns: Sequence[Column], width: int) -> Iterator[list[Column]]:
        label, *others = columns
        sizes = {each: self._size(each) for each in columns}
        part, room = [label], width - sizes[label]
        for column in others:
            room -= sizes[column]
            if room < 0 and len(part) > 1:
                yield part
                part, room = [label], width - sizes[label] - sizes[column]
            part.append(column)
        yield part

    def _size(self, column: Column) -> int:
        """Return the width that a column needs, with the gap before it."""
        cells = [len(_marked(row[int(column.key)])) for row in self.rows]
        longest = max(cells, default=0)
        words = max(map(len, column.name.split()), default=0)
        return max(min(longest, _CELL_WIDTH) if column.wraps else longest, words) + 2

    def __str__(self) -> str:
        return "\n".join(self.lines(shutil.get_terminal_size().columns))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        notes = "".join(f'<p style="margin:.2em 0;opacity:.75">{escape(note)}</p>' for note in self.notes)
        return f'<div style="overflow-x:auto">{self.html()}</div>{notes}'

    def html(self) -> str:
        """Return the table without its notes."""
        headings = "".join(
            f'<th scope="col"{self._style(place, Cell(""))}>{_html(Cell(name))}</th>'
            for place, name in enumerate(self.columns)
        )
        rows = "".join(f"<tr>{self._html_row(row)}</tr>" for row in self.rows)
        return f"<table><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table>"

    def _html_row(self, row: Sequence[Cell]) -> str:
        label, *cells = row
        others = [f"<td{self._style(place, cell)}>{_html(cell)}</td>" for place, cell in enumerate(cells, 1)]
        return f'<th scope="row"{self._style(0, label)}>{_html(label)}</th>{"".join(others)}'

    def _style(self, place: int, cell: Cell) -> str:
        width = (
            f";min-width:{min(len(cell.text) // 2, _HTML_WIDTH if place else _HTML_WIDTH // 2)}em"
            if len(cell.text) > _CELL_WIDTH
            else ""
        )
        return f' style="text-align:{"right" if place in self.numeric else "left"}{width}"'


def comparison_table(results: Sequence[RunResult]) -> Table:
    """Return the table of a comparison: a row for each label, and one for chance."""
    board = Board(results)
    columns = ["label", *map(str, board.measures), "rank", "parameters", "seconds"]
    decimals = [decimals_of(board.of_measure(measure)) for measure in board.measures]
    rows = [_row(label, board, decimals) for label in board.labels]
    if board.measures:
        rows.append([Cell("chance"), *map(_chance, map(board.of_measure, board.measures), decimals), *[Cell("")] * 3])
    numeric = frozenset(range(len(columns) - 3, len(columns)))
    return Table(
        columns, rows, [*_legend(board), *_failures(results), *_warnings(results), *summary_lines(results)], numeric
    )


def _row(label: str, board: Board, decimals: Sequence[int]) -> list[Cell]:
    cells = [
        Cell(scores_text(board.scores(label, measure), places), board.is_best(label, measure))
        for measure, places in zip(board.measures, decimals, strict=True)
    ]
    results = board.of_label(label)
    sizes = number_range(each.parameters for each in results if each.parameters)
    trained = [each.seconds for each in results if each.status == "finished"]
    seconds = f"{median(trained):,.1f}" if trained else NONE
    rank = f"{board.ranks[label]:.1f}"
    return [Cell(label), *cells, Cell(rank), Cell(NONE if sizes == "no" else sizes), Cell(seconds)]


def _chance(results: Sequence[RunResult], decimals: int) -> Cell:
    known = [each.chance for each in results if each.chance is not None]
    return Cell(number(median(known), decimals) if known else NONE)


def _legend(board: Board) -> Iterator[str]:
    every = [board.scores(label, measure) for label in board.labels for measure in board.measures]
    if any(len(each.values) > 1 for each in every):
        yield f"Scores are the median over seeds (lowest{DASH}highest). Seconds are the median of the finished runs."
        if any(board.is_best(label, measure) for label in board.labels for measure in board.measures):
            yield f"{_MARK} better than every other label: its range overlaps with no other one."
    elif all(len(each.results) <= 1 for each in every) and every:
        yield "One seed: differences may be noise."
    if len(board.labels) > 1:
        yield (
            "Sorted by the mean rank over tasks. Labels whose ranges overlap share a rank, and a run without a score "
            "counts as worse than any score."
        )


def _failures(results: Sequence[RunResult]) -> Iterator[str]:
    """Yield the errors of the labels and tasks that failed or were skipped, without those of other seeds."""
    names = distinct_labels(results)
    ends = {"failed": "failed", "skipped": "was skipped"}
    found = {(names[each.key], each.task): (ends[each.status], each.error) for each in results if each.status in ends}
    tasks: dict[tuple[str, str, str], list[str]] = {}
    for (label, task), (end, error) in found.items():
        tasks.setdefault((label, end, error), []).append(task)
    lines = [
        f"{label} on {shorten(', '.join(those), _ERROR_LENGTH, placeholder=' ...')} {end}: "
        f"{shorten(error, _ERROR_LENGTH, placeholder=' ...')}"
        for (label, end, error), those in tasks.items()
    ]
    yield from _first(lines, "failure")


def _warnings(results: Sequence[RunResult]) -> Iterator[str]:
    """Yield the conditions that labels do not meet on tasks."""
    names = distinct_labels(results)
    found = {(names[each.key], each.task): each.warning for each in results if each.warning}
    yield from _first([f"{label} on {task} has {warning}" for (label, task), warning in found.items()], "warning")


def _first(lines: Sequence[str], noun: str) -> Iterator[str]:
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"{counted(len(lines) - _SHOWN, f'more {noun}')}: `to_html` and `to_pandas` show all."


def scores_text(scores: Scores, decimals: int) -> str:
    """Return the median and the range of scores, and how many runs have a problem."""
    parts = [", ".join(scores.problems())]
    if scores.median is not None:
        parts.insert(0, number(scores.median, decimals) + _range(scores.values, decimals))
    return "; ".join(filter(None, parts)) or NONE


def _range(values: Sequence[float], decimals: int) -> str:
    if len(values) == 1:
        return ""
    low, high = number(values[0], decimals), number(values[-1], decimals)
    return f" ({low} to {high})" if values[0] < 0 else f" ({low}{DASH}{high})"


def number(value: float, decimals: int) -> str:
    """Return a score with a number of decimals, and one that is very large or small with an exponent."""
    plain = value == 0 or 1e-4 <= abs(value) < 1e5
    return f"{value:.{decimals}f}" if plain else f"{value:.1e}"


def decimals_of(results: Sequence[RunResult]) -> int:
    """Return with how many decimals the scores of a task are shown: two, or more if they are small."""
    sizes = [abs(each.score) for each in results if each.score and abs(each.score) >= 1e-4]
    return next(places for places in (2, 3, 4, 5) if places == 5 or not sizes or median(sizes) >= 10 ** (1 - places))


def _marked(cell: Cell) -> str:
    return f"{cell.text} {_MARK}" if cell.marked else cell.text


def _html(cell: Cell) -> str:
    text = escape(escape_control_chars(_marked(cell)))
    return f"<b>{text}</b>" if cell.marked else text
