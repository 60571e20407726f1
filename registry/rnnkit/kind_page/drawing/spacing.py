"""Gives each line of a grid its place in the picture: as close to the next as what is on them allows, and evenly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from rnnkit.kind_page.drawing.geometry import corners
from rnnkit.kind_page.drawing.grid import Block, Grid, Point, Shape
from rnnkit.kind_page.drawing.letters import name_text, width_of
from rnnkit.kind_page.drawing.routing import Route
from rnnkit.kind_page.drawing.sizes import LETTERS, PORT, Sizes

_LEAST = 8.0  # between any two lines
_GAPS = {  # between what stands on two lines, across and down
    ("block", "block"): (26.0, 32.0),
    ("block", "wire"): (18.0, 24.0),
    ("wire", "wire"): (17.0, 17.0),
    ("edge", "block"): (44.0, 34.0),
    ("edge", "wire"): (26.0, 22.0),
    ("edge", "edge"): (20.0, 20.0),
    ("name", "name"): (4.0, 1.0),
}


class _Item(NamedTuple):
    """Something on a line: how far from it, how thick, and from which line to which of the other axis it reaches."""

    sort: str
    line: int
    offset: float
    half: float
    low: int
    high: int
    wire: int = -1


class Placed(NamedTuple):
    """Where the lines are.

    Attributes:
        xs: from the number of a line to how far it is from the left edge of the cell.
        ys: likewise, from the top.
    """

    xs: dict[int, float]
    ys: dict[int, float]

    def at(self, point: Point) -> tuple[float, float]:
        return self.xs[point[0]], self.ys[point[1]]


def spaced(grid: Grid, routes: dict[int, Route], sizes: Sizes, stretch: float = 1.0) -> Placed:
    """The place of every line that is used.

    Args:
        stretch: how much more room there is between them than need be.
    """
    center = {x: _center(grid, x) for x in range(len(grid.x_kinds))}
    used_x = sorted({0, len(grid.x_kinds) - 1} | {center[x] for x, _ in _points(grid, routes)})
    used_y = sorted({len(grid.y_kinds) - 1} | {y for _, y in _points(grid, routes)})
    rank_x = {x: used_x.index(center[x]) for x in range(len(center)) if center[x] in used_x}
    rank_y = {y: at for at, y in enumerate(used_y)}
    across = [*_blocks(grid, sizes, rank_x, rank_y, 0), *_runs(grid, routes, rank_x, rank_y, 0)]
    down = [*_blocks(grid, sizes, rank_x, rank_y, 1), *_runs(grid, routes, rank_x, rank_y, 1)]
    across += [_Item("edge", rank_x[x], 0, 0, 0, len(used_y)) for x in (0, len(grid.x_kinds) - 1)]
    down += [_Item("edge", len(used_y) - 1, 0, 0, 0, len(used_x))]
    across += [_Item("name", rank_x[b.point[0]], _offset(grid, b.point[0]), _half_name(b), len(used_y), len(used_y)) for b in _inputs_below(grid)]
    down += [_Item("name", rank_y[b.point[1]], 0, 13, rank_x[b.point[0]], rank_x[b.point[0]]) for b in _at_the_sides(grid)]
    xs = [stretch * x for x in _positions(len(used_x), across, 0)]
    ys = [stretch * y for y in _positions(len(used_y), down, 1)]
    placed_x = {x: xs[rank_x[x]] + _offset(grid, x) for x in rank_x}
    return Placed(placed_x, {y: ys[rank_y[y]] for y in used_y})


def _offset(grid: Grid, x: int) -> float:
    """How far a line for ports is from the middle of its column."""
    if grid.x_kinds[x] != "port":
        return 0.0
    return -PORT if grid.x_kinds[x + 1] == "center" else PORT


def _center(grid: Grid, x: int) -> int:
    if grid.x_kinds[x] != "port":
        return x
    return x + 1 if grid.x_kinds[x + 1] == "center" else x - 1


def _inputs_below(grid: Grid) -> list[Block]:
    return [block for block in grid.blocks if block.shape is Shape.START and block.point[0] != 0]


def _at_the_sides(grid: Grid) -> list[Block]:
    starts = [block for block in grid.blocks if block.shape is Shape.START and block.point[0] == 0]
    return [*starts, *(block for block in grid.blocks if block.shape is Shape.END)]


def _half_name(block: Block) -> float:
    return width_of(name_text(block.name), LETTERS) / 2


def _points(grid: Grid, routes: dict[int, Route]) -> Iterator[Point]:
    yield from (point for route in routes.values() for path in route.paths.values() for point in corners(path))
    yield from (block.point for block in grid.blocks)


def _blocks(grid: Grid, sizes: Sizes, rank_x: dict[int, int], rank_y: dict[int, int], axis: int) -> Iterator[_Item]:
    for number, block in enumerate(grid.blocks):
        if block.shape in (Shape.START, Shape.END, Shape.JOIN):
            continue
        line, other = rank_x[block.point[0]], rank_y[block.point[1]]
        if axis:
            line, other = other, line
        yield _Item("block", line, 0.0, sizes.half(number)[axis], other, other)


def _runs(grid: Grid, routes: dict[int, Route], rank_x: dict[int, int], rank_y: dict[int, int], axis: int) -> Iterator[_Item]:
    for number, route in routes.items():
        for path in route.paths.values():
            for one, other in pairwise(corners(path)):
                if one[axis] == other[axis]:
                    offset = 0.0 if axis else _offset(grid, one[0])
                    line = rank_y[one[1]] if axis else rank_x[one[0]]
                    ranks = [rank_x[p[0]] if axis else rank_y[p[1]] for p in (one, other)]
                    yield _Item("wire", line, offset, 0.0, min(ranks), max(ranks), number)


def _positions(count: int, items: list[_Item], axis: int) -> list[float]:
    """Between as far left and as far right as can be, where there is room."""
    least = [[_LEAST if low + 1 == high else 0.0 for high in range(count)] for low in range(count)]
    for one in items:
        for other in items:
            if one.line < other.line and _are_near(one, other, 1 - axis):
                gap = _gap(one, other, axis) + one.offset + one.half - other.offset + other.half
                least[one.line][other.line] = max(least[one.line][other.line], gap)
    early = _leftmost(count, least)
    end = early[-1]
    flipped = [[least[count - 1 - b][count - 1 - a] for b in range(count)] for a in range(count)]
    late = [end - each for each in reversed(_leftmost(count, flipped))]
    return [(one + other) / 2 for one, other in zip(early, late, strict=True)]


def _leftmost(count: int, least: list[list[float]]) -> list[float]:
    found = [0.0] * count
    for line in range(1, count):
        found[line] = max(found[before] + least[before][line] for before in range(line) if least[before][line] or before + 1 == line)
    return found


def _are_near(one: _Item, other: _Item, margin: int) -> bool:
    return one.low - margin <= other.high and other.low - margin <= one.high


def _gap(one: _Item, other: _Item, axis: int) -> float:
    if one.sort == other.sort == "wire" and one.wire == other.wire:
        return 14.0
    pair = (one.sort, other.sort)
    return _GAPS.get(pair, _GAPS.get(pair[::-1], (0.0, 0.0)))[axis]
