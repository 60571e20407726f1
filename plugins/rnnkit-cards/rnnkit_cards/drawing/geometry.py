"""Points, areas and segments of a drawing, in pixels from its upper left corner."""

from __future__ import annotations

from typing import NamedTuple

from rnnkit_cards.drawing.grid import Point, Side

XY = tuple[float, float]


class Area(NamedTuple):
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Area) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def holds(self, other: Area) -> bool:
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


def segment_area(one: XY, other: XY, thickness: float = 3.0) -> Area:
    """The area that a straight line covers."""
    (a, b), (c, d) = one, other
    half = thickness / 2
    return Area(min(a, c) - half, min(b, d) - half, max(a, c) + half, max(b, d) + half)


def offset_point(point: XY, side: Side, by: float) -> XY:
    """The point at a distance `by` in the direction of a side."""
    across, down = side.step
    return point[0] + across * by, point[1] + down * by


def corners(path: list[Point]) -> list[Point]:
    """The ends of a path and the points where it turns."""
    turns = [b for a, b, c in zip(path, path[1:], path[2:], strict=False) if (a[0] == b[0]) != (b[0] == c[0])]
    return [path[0], *turns, path[-1]]
