"""Splits the route of a wire into pieces that belong to the same lines of the equation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from rnnkit_cards.drawing.grid import Grid, Point, Shape, Sink
from rnnkit_cards.drawing.routing import Route

Lines = frozenset[int]
"""Indices of lines of the equation."""


class Piece(NamedTuple):
    """A part of the path to a sink.

    Attributes:
        sink: the sink.
        path: its points, including both ends.
        lines: the lines that compute or use the signal in this part.
        is_last: True if it ends at the sink.
    """

    sink: Sink
    path: list[Point]
    lines: Lines
    is_last: bool


def split_route(route: Route, lines: dict[Sink, Lines]) -> Iterator[Piece]:
    """Split each path at the forks where a branch leads to other lines; pieces of a path are in order.

    Args:
        route: the route of a wire.
        lines: the lines of each sink.
    """
    paths = list(route.paths.items())
    branches: list[list[tuple[int, Lines]]] = [[] for _ in paths]  # where each branch starts, and its lines
    for number in range(len(paths) - 1, 0, -1):
        sink, path = paths[number]
        parent = next(each for each in range(number) if path[0] in paths[each][1])
        whole = lines[sink].union(*(found for _, found in branches[number]))
        branches[parent].append((paths[parent][1].index(path[0]), whole))
    for (sink, path), forks in zip(paths, branches, strict=True):
        yield from _split_path(sink, path, lines[sink], forks)


def _split_path(sink: Sink, path: list[Point], own: Lines, forks: list[tuple[int, Lines]]) -> Iterator[Piece]:
    """The pieces of one path; each has its own lines and those of the branches at its end or beyond."""
    starts = [0, *sorted({at for at, found in forks if not found <= _lines_after(at, own, forks)})]
    for start, end in pairwise([*starts, len(path) - 1]):
        yield Piece(sink, path[start : end + 1], _lines_after(start, own, forks), end == len(path) - 1)


def _lines_after(start: int, own: Lines, forks: list[tuple[int, Lines]]) -> Lines:
    return own.union(*(found for at, found in forks if at > start))


def wire_lines(grid: Grid, number: int) -> dict[Sink, Lines]:
    """The lines of each sink of a wire: those that compute its signal, and those that use it there."""
    wire = grid.wires[number]
    source = grid.blocks[wire.source]
    own = Lines() if source.shape in (Shape.START, Shape.JOIN) else grid.graph.lines[source.node]
    return {sink: own | _lines_at(grid, sink.block) for sink in wire.sinks}


def _lines_at(grid: Grid, number: int) -> Lines:
    """The lines that use a signal at a block."""
    block = grid.blocks[number]
    if block.shape is Shape.END:
        return Lines([list(grid.graph.names).index(block.name)])
    if block.shape is Shape.JOIN:
        joined = next(wire for wire in grid.wires if wire.source == number)
        return Lines().union(*(_lines_at(grid, sink.block) for sink in joined.sinks))
    return grid.graph.lines[block.node]
