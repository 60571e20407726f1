"""Routes the wires of a grid: short, with few bends and crossings, never through a block or along another wire."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise, permutations

from rnnkit_cards.drawing.grid import Grid, Point, Port, Shape, Side, Sink, Wire
from rnnkit_cards.drawing.ports import Ports
from rnnkit_cards.drawing.search import Field, Search, Uses

_FORK, _FORK_AT_BEND = 2.0, 8.0
_MOST_PASSES, _MOST_RESTARTS = 6, 8
_MOST_SINKS = 3  # for which every order is tried


class _NoPathError(Exception):
    """There is no path for a wire between the wires already routed."""

    def __init__(self, wire: int) -> None:
        super().__init__(wire)
        self.wire = wire


class Route:
    """The route of a wire: a tree of edges between adjacent points.

    Attributes:
        cost: total cost of its paths.
        paths: path to each sink, from the start of the wire or from a fork.
        sides: ports that it uses.
    """

    def __init__(self) -> None:
        self.cost = 0.0
        self.paths: dict[Sink, list[Point]] = {}
        self.sides: set[tuple[Point, Side]] = set()

    def add(self, sink: Sink, path: list[Point], cost: float) -> None:
        """Add the path to a sink."""
        if not self.paths:
            self.sides.add((path[0], side_to(path[0], path[1])))
        self.sides.add((path[-1], side_to(path[-1], path[-2])))
        self.paths[sink] = path
        self.cost += cost

    def directions(self) -> Uses:
        """The directions in which the route leaves each of its points."""
        found: defaultdict[Point, set[Side]] = defaultdict(set)
        for path in self.paths.values():
            for one, other in pairwise(path):
                side = side_to(one, other)
                found[one].add(side)
                found[other].add(side.opposite)
        return found


def side_to(one: Point, other: Point) -> Side:
    """The direction from a point to another point on the same line."""
    if one[0] == other[0]:
        return Side.SOUTH if other[1] > one[1] else Side.NORTH
    return Side.EAST if other[0] > one[0] else Side.WEST


class Router:
    """Routes all wires, then reroutes each of them as long as the total cost falls."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.ports = grid, Ports(grid)
        self.routes: dict[int, Route] = {}
        self._field = Field(grid)

    def run(self) -> bool:
        """Route all wires; return False if a wire has no path."""
        order = sorted(range(len(self.grid.wires)), key=self._urgency)
        for _ in range(_MOST_RESTARTS):
            try:
                self._run(order)
            except _NoPathError as error:
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
                self._reroute(number, thorough=len(costs) > 1)
            costs.append(self.cost())
            if costs[-1] >= costs[-2]:
                return

    def cost(self) -> float:
        """The total cost of all routes."""
        return sum(route.cost for route in self.routes.values())

    def _urgency(self, number: int) -> tuple[bool, float, int]:
        """Sort key: rails first, then short wires."""
        wire = self.grid.wires[number]
        is_rail = any(self.ports.is_rail(wire.source, sink.block) for sink in wire.sinks)
        return not is_rail, max(self._distance(wire.source, sink.block) for sink in wire.sinks), number

    def _distance(self, one: int, other: int) -> float:
        return self._field.distance(self.grid.blocks[one].point, self.grid.blocks[other].point)

    def _reroute(self, number: int, *, thorough: bool) -> None:
        """Reroute a wire, with its sinks in the best order."""
        self.routes.pop(number, None)
        others = [route.directions() for route in self.routes.values()]
        taken = {place for route in self.routes.values() for place in route.sides}
        search = Search(self._field, others)
        orders = self._orders(self.grid.wires[number], thorough=thorough)
        candidates = [self._route(number, order, search, taken) for order in orders]
        self.routes[number] = min(candidates, key=lambda route: route.cost)
        self._settle(number)

    def _orders(self, wire: Wire, *, thorough: bool) -> list[Sequence[Sink]]:
        sinks = sorted(wire.sinks, key=lambda each: self._nearness(wire, each))
        if not thorough:
            return [sinks]
        return list(permutations(sinks)) if len(sinks) <= _MOST_SINKS else [sinks, sinks[::-1]]

    def _nearness(self, wire: Wire, sink: Sink) -> tuple[bool, float, int, int]:
        is_rail = self.ports.is_rail(wire.source, sink.block)
        return not is_rail, self._distance(wire.source, sink.block), sink.block, sink.occurrence

    def _route(self, number: int, order: Sequence[Sink], search: Search, taken: set[tuple[Point, Side]]) -> Route:
        source, route = self.grid.wires[number].source, Route()
        for sink in order:
            ends = self.ports.ends(source, sink, taken | route.sides)
            own = route.directions()
            starts = self._forks(route, own, search) if own else self.ports.starts(source, taken)
            path, cost = search.cheapest_path(starts, ends, own)
            if not path:
                raise _NoPathError(number)
            route.add(sink, path, cost)
        return route

    def _forks(self, route: Route, own: Uses, search: Search) -> list[Port]:
        """The points of a route where it may fork: no other wire passes through them."""
        touched = {point for point, _ in route.sides}
        starts: list[Port] = []
        for point, sides in sorted(own.items()):
            if point not in touched and search.is_free(point):
                is_bend = len(sides) == 2 and len({side % 2 for side in sides}) == 2
                cost = _FORK_AT_BEND if is_bend else _FORK
                starts += [Port(point, side, cost) for side in Side if side not in sides]
        return starts

    def _settle(self, number: int) -> None:
        """Move the ends of a wire at the edge of the cell to the ends of its route."""
        blocks, source = self.grid.blocks, self.grid.wires[number].source
        paths = self.routes[number].paths
        for sink, path in paths.items():
            if blocks[sink.block].shape is Shape.END:
                blocks[sink.block].point = path[-1]
        if blocks[source].shape is Shape.START:
            blocks[source].point = next(iter(paths.values()))[0]
