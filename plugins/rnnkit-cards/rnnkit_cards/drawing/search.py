"""Finds the cheapest path through a grid, given the wires already routed (Dijkstra's algorithm)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from rnnkit_cards.drawing.grid import NOMINAL, Grid, Point, Port, Side

Uses = Mapping[Point, set[Side]]
"""Each point of a wire -> the directions in which it leaves the point."""

_BEND, _CROSSING = 16.0, 70.0
_State = tuple[Point, Side]  # a point, and the direction in which a path arrived there
_SIDES = tuple(Side)
_OPPOSITE = {side: side.opposite for side in Side}


class Field:
    """The part of the search that depends on the grid alone: adjacent points and their distances."""

    def __init__(self, grid: Grid) -> None:
        self._x, self._y = _positions(grid.x_kinds), _positions(grid.y_kinds)
        self._for_ports = {at for at, kind in enumerate(grid.x_kinds) if kind == "port"}
        self._low = grid.row_line(0)
        right, bottom = len(self._x) - 1, len(self._y) - 1
        points = [(x, y) for x in range(right + 1) for y in range(bottom + 1)]
        self.closed = {*grid.owner, *(point for point in points if point[0] in (0, right) or point[1] == bottom)}
        self.blocked = set(grid.owner)
        self.steps = {point: dict(self._steps(point)) for point in points}

    def distance(self, one: Point, other: Point) -> float:
        return abs(self._x[one[0]] - self._x[other[0]]) + abs(self._y[one[1]] - self._y[other[1]])

    def _steps(self, point: Point) -> Iterator[tuple[Side, tuple[Point, float]]]:
        """Adjacent points; a port line is vertical only below the boxes, for wires that end there."""
        for side in Side:
            x, y = point[0] + side.step[0], point[1] + side.step[1]
            is_inside = 0 <= x < len(self._x) and 0 <= y < len(self._y)
            is_askew = side % 2 == 0 and x in self._for_ports and min(y, point[1]) < self._low
            if is_inside and not is_askew:
                yield side, ((x, y), self.distance(point, (x, y)))


class Search:
    """A search between the wires already routed.

    Args:
        field: adjacent points of the grid.
        wires: points of each of the other wires.
    """

    def __init__(self, field: Field, wires: Iterable[Uses]) -> None:
        self._field = field
        self._others: dict[Point, set[Side]] = {}
        for wire in wires:
            for point, sides in wire.items():
                self._others[point] = self._others.get(point, set()) | sides

    def is_free(self, point: Point) -> bool:
        """True if a point has neither a block nor another wire."""
        return point not in self._others and point not in self._field.blocked

    def cheapest_path(self, starts: list[Port], ends: list[Port], own: Uses) -> tuple[list[Point], float]:
        """The cheapest path from one of the starts to one of the ends, and its cost; an empty path if there is none.

        Args:
            starts: points and directions where the path may start.
            ends: points and sides where it may end.
            own: points that the wire already has.
        """
        goals = {(port.point, _OPPOSITE[port.side]): port.cost for port in ends}
        queue = [(port.cost, (port.point, port.side), False) for port in starts]
        best = {state: cost for cost, state, _ in queue}
        origin: dict[_State, _State | None] = dict.fromkeys(best)
        heapq.heapify(queue)
        while queue:
            cost, state, has_arrived = heapq.heappop(queue)
            if has_arrived:
                return _path_to(state, origin), cost
            if cost > best[state]:
                continue
            for following, step_cost in self._moves(state, origin[state] is None, goals, own):
                if cost + step_cost < best.get(following, float("inf")):
                    best[following], origin[following] = cost + step_cost, state
                    heapq.heappush(queue, (cost + step_cost, following, False))
                    if following in goals:
                        heapq.heappush(queue, (cost + step_cost + goals[following], following, True))
        return [], 0.0

    def _moves(
        self, state: _State, is_start: bool, goals: Mapping[_State, float], own: Uses
    ) -> Iterator[tuple[_State, float]]:
        """The next states with their costs; a path only goes straight on from a start or a crossing."""
        point, heading = state
        if not is_start and point in self._field.blocked:
            return
        here = self._others.get(point, ())
        steps = self._field.steps[point]
        for side in (heading,) if is_start or here else _SIDES:
            if side in steps and side is not _OPPOSITE[heading] and side not in here:
                following, length = steps[side]
                is_goal = (following, side) in goals
                is_own = following in own and (not is_goal or _OPPOSITE[side] in own[following])
                if not is_own and self._is_open(following, side, is_goal):
                    crossing = _CROSSING if following in self._others and not is_goal else 0.0
                    yield (following, side), length + crossing + (_BEND if side is not heading else 0.0)

    def _is_open(self, point: Point, side: Side, is_goal: bool) -> bool:
        """True if a path may enter a point in a direction: another wire there may only cross it."""
        if not is_goal and point in self._field.closed:
            return False
        there = self._others.get(point, ())
        return _OPPOSITE[side] not in there and (is_goal or side not in there)


def _path_to(state: _State, origin: Mapping[_State, _State | None]) -> list[Point]:
    path: list[Point] = []
    at: _State | None = state
    while at is not None:
        path.append(at[0])
        at = origin[at]
    return path[::-1]


def _positions(kinds: list[str]) -> list[float]:
    return list(accumulate(NOMINAL[kind] for kind in kinds))
