"""The visible elements of a drawing with their positions: blocks, wires and labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from rnnkit_cards.drawing.geometry import XY, Area, corners, offset_point, segment_area
from rnnkit_cards.drawing.grid import Block, Grid, Mark, Point, Shape, Side, Sink
from rnnkit_cards.drawing.labels import Label, Role, free_label
from rnnkit_cards.drawing.math_text import name_text
from rnnkit_cards.drawing.pieces import Lines, Piece, split_route, wire_lines
from rnnkit_cards.drawing.ports import Ports
from rnnkit_cards.drawing.routing import Route, side_to
from rnnkit_cards.drawing.sizes import END_FONT_SIZE, Sizes
from rnnkit_cards.drawing.spacing import LinePositions

SIGN_RADIUS = 6.0  # of a sign on the edge of a box
_OUTSIDE = 24.0  # length of a wire outside the cell, up to its name
_ABOVE, _MARGIN, _BESIDE = 18.0, 4.0, 12.0  # fonts differ in the width of letters
_CURVE = 9.0  # radius of the curve of a wire that joins
_JOINED = 14.0  # length over which a wire runs along the wire that it joins


class Stroke(NamedTuple):
    """A part of a wire.

    Attributes:
        path: its corners; a part that starts where the one before it ends continues it.
        head: point and direction of its arrow head; None if it has none.
        lines: the lines of the equation that it belongs to.
    """

    path: tuple[XY, ...]
    head: tuple[XY, Side] | None
    lines: Lines


class Line(NamedTuple):
    """A wire.

    Attributes:
        number: number of the wire.
        role: role of its signal.
        strokes: its parts, the path to each sink in order, from the source or from a fork.
        forks: points where one of its paths leaves another, with their lines.
    """

    number: int
    role: Role
    strokes: tuple[Stroke, ...]
    forks: dict[XY, Lines]

    @property
    def lines(self) -> Lines:
        """The lines of the equation that any part belongs to."""
        return Lines().union(*(stroke.lines for stroke in self.strokes))


class Sign(NamedTuple):
    """A sign on the edge of a box, its position, and the lines of the equation that it belongs to."""

    mark: Mark
    at: XY
    lines: Lines


@dataclass(frozen=True)
class Scene:
    """The visible elements.

    Attributes:
        is_clear: True if every label has room.
        cell: frame of the cell.
        view: area of the whole drawing.
        areas: area of each visible block, by its number.
        lines: the wires.
        labels: the names.
        signs: signs on the edges of boxes.
    """

    is_clear: bool
    cell: Area
    view: Area
    areas: dict[int, Area]
    lines: tuple[Line, ...]
    labels: tuple[Label, ...]
    signs: tuple[Sign, ...]


def build_scene(grid: Grid, routes: dict[int, Route], positions: LinePositions, sizes: Sizes) -> Scene:
    """Build the scene of a routed grid."""
    return _SceneBuilder(grid, routes, positions, sizes).scene()


class _SceneBuilder:
    def __init__(self, grid: Grid, routes: dict[int, Route], positions: LinePositions, sizes: Sizes) -> None:
        self._grid, self._routes, self._positions, self._sizes = grid, routes, positions, sizes
        self._ports = Ports(grid)
        self._cell = self._cell_area()
        self._areas = dict(self._block_areas())
        self._lines = tuple(self._line(number, route) for number, route in sorted(routes.items()))

    def scene(self) -> Scene:
        names = self._name_labels()
        labels = (*self._end_labels(), *(label for label, _ in names))
        return Scene(
            cell=self._cell,
            view=self._view(labels),
            areas=self._areas,
            lines=self._lines,
            labels=labels,
            signs=tuple(self._signs()),
            is_clear=all(is_free for _, is_free in names),
        )

    def _cell_area(self) -> Area:
        xs, ys = self._positions.xs.values(), self._positions.ys.values()
        tops = [
            self._positions.at(block.point)[1] - self._sizes.half(at)[1] for at, block in enumerate(self._grid.blocks)
        ]
        return Area(min(xs), min(*ys, *tops) - _ABOVE, max(xs), max(ys))

    def _block_areas(self) -> Iterator[tuple[int, Area]]:
        for number, block in enumerate(self._grid.blocks):
            if block.shape not in (Shape.START, Shape.END, Shape.JOIN):
                x, y = self._positions.at(block.point)
                across, down = self._sizes.half(number)
                yield number, Area(x - across, y - down, x + across, y + down)

    def _line(self, number: int, route: Route) -> Line:
        wire = self._grid.wires[number]
        pieces = list(split_route(route, wire_lines(self._grid, number)))
        strokes = [self._stroke(wire.source, piece, is_first=piece is pieces[0]) for piece in pieces]
        forks = {
            self._positions.at(point): Lines().union(*(piece.lines for piece in pieces if point in piece.path))
            for point, sides in route.directions().items()
            if len(sides) > 2
        }
        return Line(number, self._role(wire.source, number), tuple(strokes), forks)

    def _stroke(self, source: int, piece: Piece, *, is_first: bool) -> Stroke:
        path, sink = piece.path, piece.sink
        points, head = [self._positions.at(point) for point in corners(path)], None
        if is_first:
            points[0] = self._departure(source, path)
        if piece.is_last:
            points[-1] = self._arrival(sink, path)
            if self._grid.blocks[sink.block].shape is Shape.JOIN:
                points.append(offset_point(points[-1], Side.EAST, _JOINED))
            else:
                head = (points[-1], side_to(path[-2], path[-1]))
        return Stroke(tuple(points), head, piece.lines)

    def _departure(self, source: int, path: list[Point]) -> XY:
        """The start of a path; after a join, the end of its curve."""
        start = self._edge(source, path[0], side_to(path[0], path[1]))
        return offset_point(start, Side.EAST, _CURVE) if self._grid.blocks[source].shape is Shape.JOIN else start

    def _arrival(self, sink: Sink, path: list[Point]) -> XY:
        """The end of a path, with room for a sign on the edge of a box."""
        side = side_to(path[-1], path[-2])
        return offset_point(
            self._edge(sink.block, path[-1], side), side, 0.0 if sink.mark is Mark.NONE else SIGN_RADIUS
        )

    def _edge(self, number: int, point: Point, side: Side) -> XY:
        """The point where a wire touches a block, or ends outside the cell."""
        x, y = self._positions.at(point)
        block = self._grid.blocks[number]
        if block.shape in (Shape.START, Shape.END):
            return offset_point((x, y), side.opposite, _OUTSIDE)
        if block.shape is Shape.JOIN:
            return x, y
        area = self._areas[number]
        if side is Side.WEST or side is Side.EAST:
            return (area.left if side is Side.WEST else area.right), y
        return x, (area.top if side is Side.NORTH else area.bottom)

    def _role(self, source: int, number: int) -> Role:
        block = self._grid.blocks[source]
        if block.shape is Shape.START:
            return Role.STATE if block.point[0] == 0 else Role.INPUT
        if block.shape is Shape.JOIN:
            return Role.OTHER
        if self._ports.is_on_rail(block.node) or self._is_state(self._grid.graph.name_of(block.node)):
            return Role.STATE
        sinks = [self._grid.blocks[sink.block].shape for sink in self._grid.wires[number].sinks]
        if sinks == [Shape.END]:
            return Role.OUTPUT
        return Role.LAYER if block.shape is Shape.BOX else Role.OTHER

    def _is_state(self, name: str) -> bool:
        return name in self._grid.graph.states.values()

    def _signs(self) -> Iterator[Sign]:
        for number, route in sorted(self._routes.items()):
            lines = wire_lines(self._grid, number)
            for sink, path in route.paths.items():
                if sink.mark is not Mark.NONE:
                    at = self._edge(sink.block, path[-1], side_to(path[-1], path[-2]))
                    yield Sign(sink.mark, at, lines[sink])

    def _end_labels(self) -> Iterator[Label]:
        for block in self._grid.blocks:
            if block.shape is Shape.START:
                yield self._start_label(block)
            elif block.shape is Shape.END:
                x, y = offset_point(self._positions.at(block.point), Side.EAST, _OUTSIDE + 7)
                role = Role.STATE if self._is_state(block.name) else Role.OUTPUT
                lines = Lines([list(self._grid.graph.names).index(block.name)])
                yield Label(name_text(block.name), (x, y), "start", END_FONT_SIZE, role, lines)

    def _start_label(self, block: Block) -> Label:
        text, at = name_text(block.name), self._positions.at(block.point)
        lines = self._grid.graph.lines[block.node]
        if block.point[0] == 0:
            return Label(text, offset_point(at, Side.WEST, _OUTSIDE + 6), "end", END_FONT_SIZE, Role.STATE, lines)
        return Label(text, offset_point(at, Side.SOUTH, _OUTSIDE + 12), "middle", END_FONT_SIZE, Role.INPUT, lines)

    def _name_labels(self) -> list[tuple[Label, bool]]:
        """A label for each named block that is not an output, and whether it has room."""
        walls = [*self._areas.values(), *self._wire_areas()]
        found: list[tuple[Label, bool]] = []
        for number, area in self._areas.items():
            for name in self._names_inside(self._grid.blocks[number].node):
                label, is_free = free_label(name_text(name), area, self._outgoing_path(number), walls, self._cell)
                found.append((label._replace(lines=self._outgoing_lines(number)), is_free))
                walls.append(label.area)
        return found

    def _names_inside(self, node: int) -> list[str]:
        graph = self._grid.graph
        return [name for name, named in graph.names.items() if named == node and name not in graph.outputs]

    def _outgoing_path(self, number: int) -> tuple[XY, ...]:
        """The corners of the first path from a block."""
        return next((line.strokes[0].path for line in self._lines_from(number)), ())

    def _outgoing_lines(self, number: int) -> Lines:
        """The lines of the equation that compute or use the signal of a block."""
        return self._grid.graph.lines[self._grid.blocks[number].node].union(
            *(line.lines for line in self._lines_from(number))
        )

    def _lines_from(self, number: int) -> Iterator[Line]:
        return (line for line in self._lines if self._grid.wires[line.number].source == number)

    def _wire_areas(self) -> Iterator[Area]:
        for line in self._lines:
            for stroke in line.strokes:
                yield from (segment_area(one, other) for one, other in pairwise(stroke.path))
                if stroke.head:
                    (x, y), _ = stroke.head
                    yield Area(x - 5, y - 5, x + 5, y + 5)

    def _view(self, labels: tuple[Label, ...]) -> Area:
        areas = [self._cell, *(label.area for label in labels)]
        left, right = min(area.left for area in areas), max(area.right for area in areas)
        outside = max(self._cell.left - left, right - self._cell.right) + _BESIDE
        bottom = max(area.bottom for area in areas) + _MARGIN
        return Area(self._cell.left - outside, self._cell.top - _MARGIN, self._cell.right + outside, bottom)
