"""A table of cells: which node is in each, and which signals pass through it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

Cell = tuple[float, int]
"""A column and a row, counted upwards."""

MOST_ROWS = 9
_OCCUPIED, _CROSSED = 50.0, 12.0
_BESIDE = 0.25  # of a column, between nodes that would share a cell


class Cells:
    """The cells of nodes and signals.

    Attributes:
        positions: cell of each node.
    """

    def __init__(self) -> None:
        self.positions: dict[int, Cell] = {}
        self._taken: defaultdict[Cell, set[int]] = defaultdict(set)

    def put(self, node: int, cell: Cell) -> None:
        """Put a node into a cell, or beside it if the cell has a node."""
        while cell in self.positions.values():
            cell = (cell[0] + _BESIDE, cell[1])
        self.positions[node] = cell
        self._taken[cell].add(node)

    def take(self, source: int, cells: Iterable[Cell]) -> None:
        """Reserve cells for the signal of a node."""
        for cell in cells:
            self._taken[cell].add(source)

    def is_free(self, cell: Cell) -> bool:
        """True if the cell has neither a node nor a signal."""
        return not self._taken[cell]

    def has_signal_of(self, nodes: Collection[int], cell: Cell) -> bool:
        """True if the signal of one of these nodes passes through the cell."""
        return any(node in nodes for node in self._taken[cell])

    def cost(self, cell: Cell, source: int) -> float:
        """The cost of leading the signal of a node through a cell."""
        if cell in self.positions.values():
            return _OCCUPIED
        return _CROSSED * len(self._taken[cell] - {source})


def above(cell: Cell) -> list[Cell]:
    """The cells above a cell, up to the rails."""
    return upright(cell[0], cell[1] + 1, MOST_ROWS)


def upright(column: float, first: int, end: int) -> list[Cell]:
    """The cells of a column, from row `first` up to `end`, exclusive."""
    return [(column, row) for row in range(first, end)]


def level(start: float, end: float, row: int) -> list[Cell]:
    """The cells of a row from column `start` to `end`, exclusive, in either direction."""
    if start <= end:
        return [(float(column), row) for column in range(int(start), int(end) + 1) if start <= column < end]
    return [(float(column), row) for column in range(int(start), int(end) - 1, -1) if end < column <= start]
