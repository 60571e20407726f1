"""All that is seen in a drawing, with its place in it: blocks, wires and labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from rnnkit.kind_page.drawing.geometry import XY, Area, area_of_line, corners, moved
from rnnkit.kind_page.drawing.grid import Block, Grid, Mark, Point, Shape, Side, Sink
from rnnkit.kind_page.drawing.labels import Label, Role, free_label
from rnnkit.kind_page.drawing.letters import name_text
from rnnkit.kind_page.drawing.ports import Ports
from rnnkit.kind_page.drawing.routing import Route, side_to
from rnnkit.kind_page.drawing.sizes import LETTERS, Sizes
from rnnkit.kind_page.drawing.spacing import Placed

SIGN = 6.0  # radius of a sign on the edge of a box
_OUTSIDE = 24.0  # of a wire, from the edge of the cell to its name
_ABOVE, _MARGIN = 18.0, 4.0
_CURVE = 9.0  # of one that joins
_JOINED = 14.0  # how far a wire goes along with the one that it joins


class Line(NamedTuple):
    """A wire.

    Attributes:
        number: of the wire.
        role: what flows in it.
        paths: the corners on the way to each sink, from the source or from a fork.
        heads: where it arrives, and in which direction.
        forks: where one of its paths leaves another.
    """

    number: int
    role: Role
    paths: tuple[tuple[XY, ...], ...]
    heads: tuple[tuple[XY, Side], ...]
    forks: tuple[XY, ...]


@dataclass(frozen=True)
class Scene:
    """What is seen.

    Attributes:
        is_clear: whether every label has room.
        cell: the box around all that a step computes.
        view: all of the picture.
        areas: of each block that is a shape, by its number.
        lines: the wires.
        labels: the names.
        signs: what becomes of a signal that comes into a box, where it is not what becomes of most, and where.
    """

    is_clear: bool
    cell: Area
    view: Area
    areas: dict[int, Area]
    lines: tuple[Line, ...]
    labels: tuple[Label, ...]
    signs: tuple[tuple[Mark, XY], ...]


def scene_of(grid: Grid, routes: dict[int, Route], placed: Placed, sizes: Sizes) -> Scene:
    """What is seen of wires that have been led."""
    return _Making(grid, routes, placed, sizes).scene()


class _Making:
    def __init__(self, grid: Grid, routes: dict[int, Route], placed: Placed, sizes: Sizes) -> None:
        self._grid, self._routes, self._placed, self._sizes = grid, routes, placed, sizes
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
        xs, ys = self._placed.xs.values(), self._placed.ys.values()
        tops = [self._placed.at(block.point)[1] - self._sizes.half(at)[1] for at, block in enumerate(self._grid.blocks)]
        return Area(min(xs), min(*ys, *tops) - _ABOVE, max(xs), max(ys))

    def _block_areas(self) -> Iterator[tuple[int, Area]]:
        for number, block in enumerate(self._grid.blocks):
            if block.shape not in (Shape.START, Shape.END, Shape.JOIN):
                x, y = self._placed.at(block.point)
                across, down = self._sizes.half(number)
                yield number, Area(x - across, y - down, x + across, y + down)

    def _line(self, number: int, route: Route) -> Line:
        wire = self._grid.wires[number]
        first = next(iter(route.paths.values()))
        paths, heads = [], []
        for sink, path in route.paths.items():
            points = [self._placed.at(point) for point in corners(path)]
            if path is first:
                points[0] = self._departure(wire.source, path)
            points[-1] = self._arrival(sink, path)
            if self._grid.blocks[sink.block].shape is Shape.JOIN:
                points.append(moved(points[-1], Side.EAST, _JOINED))
            else:
                heads.append((points[-1], side_to(path[-2], path[-1])))
            paths.append(tuple(points))
        forks = tuple(self._placed.at(point) for point, sides in route.directions().items() if len(sides) > 2)
        return Line(number, self._role(wire.source, number), tuple(paths), tuple(heads), forks)

    def _departure(self, source: int, path: list[Point]) -> XY:
        """Where a path begins: of wires that join, where their curves have ended."""
        start = self._edge(source, path[0], side_to(path[0], path[1]))
        return moved(start, Side.EAST, _CURVE) if self._grid.blocks[source].shape is Shape.JOIN else start

    def _arrival(self, sink: Sink, path: list[Point]) -> XY:
        """Where a path ends, which leaves room for a sign on the edge of a box."""
        side = side_to(path[-1], path[-2])
        return moved(self._edge(sink.block, path[-1], side), side, 0.0 if sink.mark is Mark.NONE else SIGN)

    def _edge(self, number: int, point: Point, side: Side) -> XY:
        """Where a wire touches a block, or ends outside of the cell."""
        x, y = self._placed.at(point)
        block = self._grid.blocks[number]
        if block.shape in (Shape.START, Shape.END):
            return moved((x, y), side.opposite, _OUTSIDE)
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

    def _signs(self) -> Iterator[tuple[Mark, XY]]:
        for _, route in sorted(self._routes.items()):
            for sink, path in route.paths.items():
                if sink.mark is not Mark.NONE:
                    yield sink.mark, self._edge(sink.block, path[-1], side_to(path[-1], path[-2]))

    def _end_labels(self) -> Iterator[Label]:
        for block in self._grid.blocks:
            if block.shape is Shape.START:
                yield self._start_label(block)
            elif block.shape is Shape.END:
                x, y = moved(self._placed.at(block.point), Side.EAST, _OUTSIDE + 7)
                role = Role.STATE if self._is_state(block.name) else Role.OUTPUT
                yield Label(name_text(block.name), (x, y), "start", LETTERS, role)

    def _start_label(self, block: Block) -> Label:
        text, at = name_text(block.name), self._placed.at(block.point)
        if block.point[0] == 0:
            return Label(text, moved(at, Side.WEST, _OUTSIDE + 6), "end", LETTERS, Role.STATE)
        return Label(text, moved(at, Side.SOUTH, _OUTSIDE + 12), "middle", LETTERS, Role.INPUT)

    def _name_labels(self) -> list[tuple[Label, bool]]:
        """A label for each block that has a name which does not stand at the end of a wire, and whether it has room."""
        walls = [*self._areas.values(), *self._wire_areas()]
        found: list[tuple[Label, bool]] = []
        for number, area in self._areas.items():
            for name in self._names_inside(self._grid.blocks[number].node):
                found.append(free_label(name_text(name), area, self._way_out(number), walls, self._cell))
                walls.append(found[-1][0].area)
        return found

    def _names_inside(self, node: int) -> list[str]:
        graph = self._grid.graph
        return [name for name, named in graph.names.items() if named == node and name not in graph.outputs]

    def _way_out(self, number: int) -> tuple[XY, ...]:
        """The corners of the first path that leaves a block."""
        lines = (line for line in self._lines if self._grid.wires[line.number].source == number)
        return next((line.paths[0] for line in lines), ())

    def _wire_areas(self) -> Iterator[Area]:
        for line in self._lines:
            for path in line.paths:
                yield from (area_of_line(one, other) for one, other in pairwise(path))
            for (x, y), _ in line.heads:
                yield Area(x - 5, y - 5, x + 5, y + 5)

    def _view(self, labels: tuple[Label, ...]) -> Area:
        areas = [self._cell, *(label.area for label in labels)]
        left, right = min(area.left for area in areas), max(area.right for area in areas)
        outside = max(self._cell.left - left, right - self._cell.right) + _MARGIN
        bottom = max(area.bottom for area in areas) + _MARGIN
        return Area(self._cell.left - outside, self._cell.top - _MARGIN, self._cell.right + outside, bottom)
