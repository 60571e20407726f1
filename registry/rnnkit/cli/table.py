"""Tables that fit the screen. A library that draws them takes longer to import than all that `list` does."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import click

from rnnkit.cli.escape import escape_control_chars

_COLORS = {"broken": "red", "blocked": "yellow", "ambiguous": "yellow", "chosen": "green", "ok": "green"}
_COLORED = ("state", "verdict")  # columns
_NARROWEST = 20  # what a column of long text needs at least
_GAP = "  "


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: its heading; with underscores for spaces and dashes, the fact that it shows.
        right: whether it stands on the right, as numbers do.
        wraps: whether it holds long text, which may go on in the next line. All else is for copying and stays whole.
    """

    name: str
    right: bool = False
    wraps: bool = False

    def cell(self, facts: Mapping[str, Any]) -> str:
        """What stands in it of some facts; thousands are set apart, and None is nothing."""
        fact = facts.get(self.name.replace(" ", "_").replace("-", "_"))
        if fact is None:
            return ""
        return escape_control_chars(fact) if isinstance(fact, str) else f"{fact:,}"


def table_lines(columns: Sequence[Column], facts: Sequence[Mapping[str, Any]], width: int, rule: str) -> Iterator[str]:
    """A table with a row for each collection of facts; columns in which nothing stands are left out.

    Where it is too wide for the screen, each row becomes a paragraph, so that nothing is cut off.

    Args:
        columns: from left to right.
        facts: from top to bottom.
        width: of the screen.
        rule: the character of the line below the headings.
    """
    columns = [column for column in columns if any(map(column.cell, facts))]
    rows = [[column.cell(each) for column in columns] for each in facts]
    room = width - len(_GAP) * (len(columns) - 1)
    headings = [[column.name] for column in columns], [column.name.split() for column in columns]  # the second wrapped
    widths = next(filter(None, (_widths(columns, each, rows, room) for each in headings)), None)
    if widths is None:
        yield from _paragraphs(columns, rows, width)
        return
    yield from _row([column.name for column in columns], columns, widths, bold=True)
    yield rule * (sum(widths) + len(_GAP) * (len(widths) - 1))
    for row in rows:
        yield from _row(row, columns, widths)


def _widths(
    columns: Sequence[Column], headings: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], room: int
) -> list[int] | None:
    """How wide each column is, of which those with long text share what is left; None: there is not enough room."""
    widths = [max(map(_width, [*heading, *cells])) for heading, *cells in zip(headings, *rows, strict=True)]
    long = sorted((place for place, column in enumerate(columns) if column.wraps), key=lambda place: widths[place])
    room -= sum(width for place, width in enumerate(widths) if place not in long)
    for sharing, place in zip(range(len(long), 0, -1), long, strict=True):
        widths[place] = min(widths[place], max(room // sharing, _NARROWEST))
        room -= widths[place]
    return widths if room >= 0 else None


def _row(
    cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int], *, bold: bool = False
) -> Iterator[str]:
    """The lines of one row: as many as its longest text takes."""
    wrapped = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(cells, widths, strict=True)]
    for line in zip_longest(*wrapped, fillvalue=""):
        placed = (_placed(*each, bold=bold) for each in zip(line, columns, widths, strict=True))
        yield _GAP.join(placed).rstrip()


def _placed(cell: str, column: Column, width: int, *, bold: bool) -> str:
    space = " " * (width - _width(cell))
    color = _COLORS.get(cell) if column.name in _COLORED else None
    styled = click.style(cell, bold=bold or None, fg=color) if bold or color else cell
    return space + styled if column.right else styled + space


def _width(text: str) -> int:
    """How many places of a terminal a text takes: two for a character of East Asia, none for an accent."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _paragraphs(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    for name, *cells in rows:
        yield click.style(name, bold=True)
        for column, cell in zip(columns[1:], cells, strict=True):
            if cell:
                yield textwrap.fill(
                    f"{column.name}: {cell}",
                    width,
                    initial_indent="  ",
                    subsequent_indent="    ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
