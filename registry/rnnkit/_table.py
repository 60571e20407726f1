"""Tables of a given width. A table library would take longer to import than `rnnkit list` takes to run."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from rnnkit._messages import escape_control_chars

_COLORS = {
    "broken": "red",
    "blocked": "yellow",
    "hidden": "yellow",
    "ambiguous": "yellow",
    "chosen": "green",
    "ok": "green",
}
_COLORED = ("state", "verdict")  # columns
_MIN_WIDTH = 20  # of a column of long text
_GAP = "  "

Style = Callable[..., str]
"""Returns a text in a style: `bold`, or a colour `fg`, as `click.style`."""


def _plain(text: str, **_style: Any) -> str:
    return text


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: heading; with underscores instead of spaces and dashes, the key of the values unless `key` is given.
        right: whether its cells are right-aligned, as numbers are.
        wraps: whether its cells may be wrapped; other cells stay on one line, so that they can be copied.
        key: of the values; empty: the name.
    """

    name: str
    right: bool = False
    wraps: bool = False
    key: str = ""

    def cell(self, facts: Mapping[str, Any]) -> str:
        """Return the text of its cell in a row: numbers with thousands separators, empty for None."""
        fact = facts.get(self.key or self.name.replace(" ", "_").replace("-", "_"))
        if fact is None:
            return ""
        return escape_control_chars(fact) if isinstance(fact, str) else f"{fact:,}"


def table_lines(
    columns: Sequence[Column],
    facts: Sequence[Mapping[str, Any]],
    width: int,
    rule: str,
    style: Style = _plain,
) -> Iterator[str]:
    """Yield the lines of a table with one row for each mapping; empty columns are left out.

    If the table does not fit the width, each row becomes a paragraph, so that nothing is cut off.

    Args:
        columns: columns, from left to right.
        facts: rows, from top to bottom.
        width: width of the terminal.
        rule: character of the line below the headings.
        style: the style of headings and of some words; none by default.
    """
    columns = [column for column in columns if any(map(column.cell, facts))]
    rows = [[column.cell(each) for column in columns] for each in facts]
    room = width - len(_GAP) * (len(columns) - 1)
    headings = [[column.name] for column in columns], [column.name.split() for column in columns]  # the second wrapped
    widths = next(filter(None, (_widths(columns, each, rows, room) for each in headings)), None)
    if widths is None:
        yield from _paragraphs(columns, rows, width, style)
        return
    yield from _row([column.name for column in columns], columns, widths, style, bold=True)
    yield rule * (sum(widths) + len(_GAP) * (len(widths) - 1))
    for row in rows:
        yield from _row(row, columns, widths, style)


def _widths(
    columns: Sequence[Column], headings: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], room: int
) -> list[int] | None:
    """Return the width of each column; wrapping columns share the remaining room. None if the room is too little."""
    widths = [max(map(_width, [*heading, *cells])) for heading, *cells in zip(headings, *rows, strict=True)]
    long = sorted((place for place, column in enumerate(columns) if column.wraps), key=lambda place: widths[place])
    room -= sum(width for place, width in enumerate(widths) if place not in long)
    for sharing, place in zip(range(len(long), 0, -1), long, strict=True):
        widths[place] = min(widths[place], max(room // sharing, _MIN_WIDTH))
        room -= widths[place]
    return widths if room >= 0 else None


def _row(
    cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int], style: Style, *, bold: bool = False
) -> Iterator[str]:
    """Yield the lines of one row, as many as its longest cell needs."""
    wrapped = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(cells, widths, strict=True)]
    for line in zip_longest(*wrapped, fillvalue=""):
        placed = (_placed(*each, style, bold=bold) for each in zip(line, columns, widths, strict=True))
        yield _GAP.join(placed).rstrip()


def _placed(cell: str, column: Column, width: int, style: Style, *, bold: bool) -> str:
    space = " " * (width - _width(cell))
    color = _COLORS.get(cell) if column.name in _COLORED else None
    styled = style(cell, bold=bold or None, fg=color) if bold or color else cell
    return space + styled if column.right else styled + space


def _width(text: str) -> int:
    """Return the columns that a text takes in a terminal: two for East Asian characters, none for combining ones."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _paragraphs(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, style: Style) -> Iterator[str]:
    for name, *cells in rows:
        yield style(name, bold=True)
        for column, cell in zip(columns[1:], cells, strict=True):
            if cell:
                yield fill(f"{column.name}: {cell}", width, "  ", "    ")


def fill(text: str, width: int, first: str = "", others: str = "") -> str:
    """Return a text wrapped between words, with the indent of its first line and of all others."""
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )
