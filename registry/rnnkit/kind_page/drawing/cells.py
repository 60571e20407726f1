"""A table of cells: which node stands in each, and which signals go through it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

Cell = tuple[float, int]
"""A column and a row, counted upwards."""

MOST_ROWS = 9
_OCCUPIED, _CROSSED = 50.0, 12.0
_BESIDE = 0.25  # of a column, to what stands where two things would


class Cells:
    """Where nodes stand, and where signals go.

    Attributes:
        places: from each node to its cell.
    """

    def __init__(self) -> None:
        self.places: dict[int, Cell] = {}
        self._taken: defaultdict[Cell, set[int]] = defaultdict(set)

    def put(self, node: int, cell: Cell) -> None:
        """Put a node into a cell, or right beside it if there is one."""
        while cell in self.places.values():
            cell = (cell[0] + _BESIDE, cell[1])
        self.places[node] = cell
        self._taken[cell].add(node)

    def take(self, source: int, cells: Iterable[Cell]) -> None:
        """Lead the signal of a node through cells."""
        for cell in cells:
            self._taken[cell].add(source)

    def is_free(self, cell: Cell) -> bool:
        """Whether neither a node nor a signal is there."""
        return not self._taken[cell]

    def has_signal_of(self, nodes: Collection[int], cell: Cell) -> bool:
        """Whether one of these goes through it."""
        return any(node in nodes for node in self._taken[cell])

    def price(self, cell: Cell, source: int) -> float:
        """Of leading a signal through it."""
        if cell in self.places.values():
            return _OCCUPIED
        return _CROSSED * len(self._taken[cell] - {source})


def above(cell: Cell) -> list[Cell]:
    """The cells above one, up to where rails may be."""
    return upright(cell[0], cell[1] + 1, MOST_ROWS)


def upright(column: float, first: int, end: int) -> list[Cell]:
    """The cells of a column from a row to the one before the end."""
    return [(column, row) for row in range(first, end)]


def level(start: float, end: float, row: int) -> list[Cell]:
    """The cells of a row between two columns, with the first and without the last."""
    if start <= end:
        return [(float(column), row) for column in range(int(start), int(end) + 1) if start <= column < end]
    return [(float(column), row) for column in range(int(start), int(end) - 1, -1) if end < column <= start]
