"""Finds the cheapest way through a grid between others' wires."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from rnnkit.kind_page.drawing.grid import NOMINAL, Grid, Point, Port, Side

Uses = Mapping[Point, set[Side]]
"""From each point of a wire to the directions in which it leads away from there."""

_BEND, _CROSSING = 16.0, 70.0
_State = tuple[Point, Side]  # where a way has come to, and in which direction it goes
_SIDES = tuple(Side)
_OPPOSITE = {side: side.opposite for side in Side}


class Field:
    """What the grid alone says: which points are next to each other, and how far apart."""

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
        """Only what ends below a box runs up and down so close to the middle of a column."""
        for side in Side:
            x, y = point[0] + side.step[0], point[1] + side.step[1]
            is_inside = 0 <= x < len(self._x) and 0 <= y < len(self._y)
            is_askew = side % 2 == 0 and x in self._for_ports and min(y, point[1]) < self._low
            if is_inside and not is_askew:
                yield side, ((x, y), self.distance(point, (x, y)))


class Search:
    """Ways between the wires that are there.

    Args:
        field: the grid.
        wires: where each of the other wires goes.
    """

    def __init__(self, field: Field, wires: Iterable[Uses]) -> None:
        self._field = field
        self._others: dict[Point, set[Side]] = {}
        for wire in wires:
            for point, sides in wire.items():
                self._others[point] = self._others.get(point, set()) | sides

    def is_free(self, point: Point) -> bool:
        """Whether neither a block nor another wire is there."""
        return point not in self._others and point not in self._field.blocked

    def cheapest(self, starts: list[Port], ends: list[Port], own: Uses) -> tuple[list[Point], float]:
        """The cheapest way from one of the starts to one of the ends, and its cost; an empty one: there is none.

        Args:
            starts: from where, and in which direction.
            ends: to where, and on which side of it.
            own: where the wire goes already.
        """
        goals = {(port.point, _OPPOSITE[port.side]): port.price for port in ends}
        queue = [(port.price, (port.point, port.side), False) for port in starts]
        best = {state: price for price, state, _ in queue}
        origin: dict[_State, _State | None] = dict.fromkeys(best)
        heapq.heapify(queue)
        while queue:
            cost, state, has_arrived = heapq.heappop(queue)
            if has_arrived:
                return _path_to(state, origin), cost
            if cost > best[state]:
                continue
            for following, price in self._moves(state, origin[state] is None, goals, own):
                if cost + price < best.get(following, float("inf")):
                    best[following], origin[following] = cost + price, state
                    heapq.heappush(queue, (cost + price, following, False))
                    if following in goals:
                        heapq.heappush(queue, (cost + price + goals[following], following, True))
        return [], 0.0

    def _moves(
        self, state: _State, is_start: bool, goals: Mapping[_State, float], own: Uses
    ) -> Iterator[tuple[_State, float]]:
        """Where a way can go on, and at what price; from a start or a crossing only straight on."""
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
        """Whether a way may come to a point in this direction: another wire may only cross it there."""
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
