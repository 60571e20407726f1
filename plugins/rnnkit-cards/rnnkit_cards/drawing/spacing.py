"""Computes the position of each grid line in pixels: as close together as the items on them allow, and evenly."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from rnnkit_cards.drawing.distances import Axis, Item, positions
from rnnkit_cards.drawing.geometry import XY, corners
from rnnkit_cards.drawing.grid import Block, Grid, Point, Shape
from rnnkit_cards.drawing.math_text import name_text, text_width
from rnnkit_cards.drawing.routing import Route
from rnnkit_cards.drawing.sizes import END_FONT_SIZE, PORT, Sizes

_HALF_LINE = 13.0  # half the height of a line of text


class LinePositions(NamedTuple):
    """The positions of lines.

    Attributes:
        xs: number of a vertical line -> its distance from the left edge of the cell.
        ys: number of a horizontal line -> its distance from the first line.
    """

    xs: dict[int, float]
    ys: dict[int, float]

    def at(self, point: Point) -> XY:
        """The intersection of two lines."""
        return self.xs[point[0]], self.ys[point[1]]


def assign_positions(grid: Grid, routes: dict[int, Route], sizes: Sizes, stretch: float = 1.0) -> LinePositions:
    """Compute the position of every line in use.

    Args:
        grid: the lines and blocks.
        routes: the routes of the wires.
        sizes: sizes of the blocks.
        stretch: factor by which all distances are enlarged.
    """
    return _Spacing(grid, routes, sizes).compute(stretch)


class _Spacing:
    def __init__(self, grid: Grid, routes: dict[int, Route], sizes: Sizes) -> None:
        self._grid, self._routes, self._sizes = grid, routes, sizes
        self._bottom, self._right = len(grid.y_kinds) - 1, len(grid.x_kinds) - 1
        points = list(self._points())
        self._columns = sorted({0, self._right, *(self._center(x) for x, _ in points)})
        self._rows = sorted({self._bottom, *(y for _, y in points)})

    def compute(self, stretch: float) -> LinePositions:
        xs = [stretch * x for x in positions(len(self._columns), list(self._items(0)), 0)]
        ys = [stretch * y for y in positions(len(self._rows), list(self._items(1)), 1)]
        lines = [x for x in range(self._right + 1) if self._center(x) in self._columns]
        return LinePositions(
            {x: xs[self._rank(x, 0)] + self._offset(x) for x in lines}, dict(zip(self._rows, ys, strict=True))
        )

    def _points(self) -> Iterator[Point]:
        """The points where a wire turns or ends, and the points of blocks."""
        for route in self._routes.values():
            for path in route.paths.values():
                yield from corners(path)
        yield from (block.point for block in self._grid.blocks)

    def _rank(self, line: int, axis: Axis) -> int:
        """The index of a line among the lines in use; a port line belongs to the center of its column."""
        return self._rows.index(line) if axis else self._columns.index(self._center(line))

    def _center(self, x: int) -> int:
        if self._grid.x_kinds[x] != "port":
            return x
        return x + 1 if self._grid.x_kinds[x + 1] == "center" else x - 1

    def _offset(self, x: int) -> float:
        """The distance of a line from the center of its column."""
        return PORT * (x - self._center(x))

    def _items(self, axis: Axis) -> Iterator[Item]:
        yield from self._blocks(axis)
        yield from self._runs(axis)
        yield from self._edges(axis)
        yield from self._names(axis)

    def _blocks(self, axis: Axis) -> Iterator[Item]:
        for number, block in enumerate(self._grid.blocks):
            if block.shape not in (Shape.START, Shape.END, Shape.JOIN):
                own, other = self._ranks(block.point, axis)
                yield Item("block", own, 0.0, self._sizes.half(number)[axis], other, other)

    def _ranks(self, point: Point, axis: Axis) -> tuple[int, int]:
        """The ranks of a point on this axis and on the other."""
        across, down = self._rank(point[0], 0), self._rank(point[1], 1)
        return (down, across) if axis else (across, down)

    def _runs(self, axis: Axis) -> Iterator[Item]:
        """The segments of wires on lines of this axis."""
        for number, route in self._routes.items():
            for path in route.paths.values():
                for one, other in pairwise(corners(path)):
                    if one[axis] == other[axis]:
                        own, start = self._ranks(one, axis)
                        ends = (start, self._ranks(other, axis)[1])
                        offset = 0.0 if axis else self._offset(one[0])
                        yield Item("wire", own, offset, 0.0, min(ends), max(ends), number)

    def _edges(self, axis: Axis) -> Iterator[Item]:
        for line in (self._bottom,) if axis else (0, self._right):
            yield Item("edge", self._rank(line, axis), 0.0, 0.0, 0, len(self._columns if axis else self._rows))

    def _names(self, axis: Axis) -> Iterator[Item]:
        """The names at the ends of wires: their height on the left and right, their width at the bottom."""
        for block in self._grid.blocks:
            if block.shape in (Shape.START, Shape.END):
                own, other = self._ranks(block.point, axis)
                is_below = block.point[1] == self._bottom
                if axis and not is_below:
                    yield Item("name", own, 0.0, _HALF_LINE, other, other)
                elif is_below and not axis:
                    yield Item("name", own, self._offset(block.point[0]), _half_width(block), other, other)


def _half_width(block: Block) -> float:
    return text_width(name_text(block.name), END_FONT_SIZE) / 2
