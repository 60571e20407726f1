"""Leads the wires of a grid: short, with few bends and crossings, none through a block or along another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise, permutations

from rnnkit.kind_page.drawing.grid import Grid, Point, Port, Shape, Side, Sink, Wire
from rnnkit.kind_page.drawing.ports import Ports
from rnnkit.kind_page.drawing.search import Field, Search, Uses

_FORK, _FORK_AT_BEND = 2.0, 8.0
_MOST_PASSES, _MOST_RESTARTS = 6, 8
_MOST_SINKS = 3  # of a wire for which every order is tried


class _NoWayError(Exception):
    """A wire finds no way between those that have been led before."""

    def __init__(self, wire: int) -> None:
        super().__init__(wire)
        self.wire = wire


class Route:
    """The way of one wire: a tree of edges between neighbouring points.

    Attributes:
        cost: of leading it there.
        paths: to each sink, from its start or from a fork.
        sides: where it touches blocks or the edge of the cell.
    """

    def __init__(self) -> None:
        self.cost = 0.0
        self.paths: dict[Sink, list[Point]] = {}
        self.sides: set[tuple[Point, Side]] = set()

    def add(self, sink: Sink, path: list[Point], cost: float) -> None:
        """Lead it to one more sink."""
        if not self.paths:
            self.sides.add((path[0], side_to(path[0], path[1])))
        self.sides.add((path[-1], side_to(path[-1], path[-2])))
        self.paths[sink] = path
        self.cost += cost

    def directions(self) -> Uses:
        """In which directions it leads away from each of its points."""
        found: defaultdict[Point, set[Side]] = defaultdict(set)
        for path in self.paths.values():
            for one, other in pairwise(path):
                side = side_to(one, other)
                found[one].add(side)
                found[other].add(side.opposite)
        return found


def side_to(one: Point, other: Point) -> Side:
    """The direction from a point to another on the same line."""
    if one[0] == other[0]:
        return Side.SOUTH if other[1] > one[1] else Side.NORTH
    return Side.EAST if other[0] > one[0] else Side.WEST


class Router:
    """Leads all wires, and then each again, as long as that makes something better."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.ports = grid, Ports(grid)
        self.routes: dict[int, Route] = {}
        self._field = Field(grid)

    def run(self) -> bool:
        """Lead all wires; whether each has found a way."""
        order = sorted(range(len(self.grid.wires)), key=self._urgency)
        for _ in range(_MOST_RESTARTS):
            try:
                self._run(order)
            except _NoWayError as error:
                order.remove(error.wire)
                order.insert(0, error.wire)
                self.routes.clear()
            else:
                return True
        return False

    def _run(self, order: list[int]) -> None:
        costs = [float("inf")]
        for _ in range(_MOST_PASSES):
            for number in order:
                self._lead(number, thorough=len(costs) > 1)
            costs.append(self.cost())
            if costs[-1] >= costs[-2]:
                return

    def cost(self) -> float:
        """Of all wires, as they were led last."""
        return sum(route.cost for route in self.routes.values())

    def _urgency(self, number: int) -> tuple[bool, float, int]:
        """Rails first, then what is short."""
        wire = self.grid.wires[number]
        is_rail = any(self.ports.is_rail(wire.source, sink.block) for sink in wire.sinks)
        return not is_rail, max(self._distance(wire.source, sink.block) for sink in wire.sinks), number

    def _distance(self, one: int, other: int) -> float:
        return self._field.distance(self.grid.blocks[one].point, self.grid.blocks[other].point)

    def _lead(self, number: int, *, thorough: bool) -> None:
        """Lead a wire anew, to its sinks in the order that is best."""
        self.routes.pop(number, None)
        others = [route.directions() for route in self.routes.values()]
        taken = {place for route in self.routes.values() for place in route.sides}
        search = Search(self._field, others)
        orders = self._orders(self.grid.wires[number], thorough=thorough)
        tried = [self._led(number, order, search, taken) for order in orders]
        self.routes[number] = min(tried, key=lambda route: route.cost)
        self._settle(number)

    def _orders(self, wire: Wire, *, thorough: bool) -> list[Sequence[Sink]]:
        sinks = sorted(wire.sinks, key=lambda each: self._nearness(wire, each))
        if not thorough:
            return [sinks]
        return list(permutations(sinks)) if len(sinks) <= _MOST_SINKS else [sinks, sinks[::-1]]

    def _nearness(self, wire: Wire, sink: Sink) -> tuple[bool, float, int, int]:
        is_rail = self.ports.is_rail(wire.source, sink.block)
        return not is_rail, self._distance(wire.source, sink.block), sink.block, sink.turn

    def _led(self, number: int, order: Sequence[Sink], search: Search, taken: set[tuple[Point, Side]]) -> Route:
        source, route = self.grid.wires[number].source, Route()
        for sink in order:
            ends = self.ports.ends(source, sink, taken | route.sides)
            own = route.directions()
            starts = self._forks(route, own, search) if own else self.ports.starts(source, taken)
            path, cost = search.cheapest(starts, ends, own)
            if not path:
                raise _NoWayError(number)
            route.add(sink, path, cost)
        return route

    def _forks(self, route: Route, own: Uses, search: Search) -> list[Port]:
        """Each point that a wire goes through already, where none of the others does."""
        touched = {point for point, _ in route.sides}
        starts: list[Port] = []
        for point, sides in sorted(own.items()):
            if point not in touched and search.is_free(point):
                is_bend = len(sides) == 2 and len({side % 2 for side in sides}) == 2
                price = _FORK_AT_BEND if is_bend else _FORK
                starts += [Port(point, side, price) for side in Side if side not in sides]
        return starts

    def _settle(self, number: int) -> None:
        """Put the ends of a wire at the edge of the cell to where they turned out to be."""
        blocks, source = self.grid.blocks, self.grid.wires[number].source
        paths = self.routes[number].paths
        for sink, path in paths.items():
            if blocks[sink.block].shape is Shape.END:
                blocks[sink.block].point = path[-1]
        if blocks[source].shape is Shape.START:
            blocks[source].point = next(iter(paths.values()))[0]
