"""How far from each other lines must be for what is on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Axis = Literal[0, 1]
"""0: from left to right; 1: from top to bottom."""

_LEAST = 8.0  # between any two lines
_SAME_WIRE = 14.0
_GAPS = {  # between what stands on two lines, from left to right and from top to bottom
    ("block", "block"): (26.0, 32.0),
    ("block", "wire"): (18.0, 24.0),
    ("wire", "block"): (18.0, 24.0),
    ("wire", "wire"): (17.0, 17.0),
    ("edge", "edge"): (20.0, 20.0),
    ("edge", "block"): (44.0, 34.0),
    ("block", "edge"): (44.0, 34.0),
    ("edge", "wire"): (26.0, 22.0),
    ("wire", "edge"): (26.0, 22.0),
    ("name", "name"): (4.0, 1.0),
}


class Item(NamedTuple):
    """Something on a line.

    Attributes:
        sort: of it.
        line: which, counting those that are used.
        offset: how far its middle is from the line.
        half: how far it reaches from its middle.
        low: from which line of the other axis it reaches.
        high: to which.
        wire: the number of the wire that it is part of.
    """

    sort: Literal["block", "wire", "edge", "name"]
    line: int
    offset: float
    half: float
    low: int
    high: int
    wire: int = -1


def positions(count: int, items: Sequence[Item], axis: Axis) -> list[float]:
    """Of each line, from the first: between as close to it and as close to the last as can be, where there is room."""
    least = _least(count, items, axis)
    early = _earliest(least)
    backwards = [[least[count - 1 - high][count - 1 - low] for high in range(count)] for low in range(count)]
    late = [early[-1] - each for each in reversed(_earliest(backwards))]
    return [(one + other) / 2 for one, other in zip(early, late, strict=True)]


def _least(count: int, items: Sequence[Item], axis: Axis) -> list[list[float]]:
    """How far each line must be from each before it at least."""
    least = [[_LEAST if low + 1 == high else 0.0 for high in range(count)] for low in range(count)]
    for one in items:
        for other in items:
            if one.line < other.line and _are_near(one, other, margin=1 - axis):
                gap = _gap(one, other, axis) + one.offset + one.half - other.offset + other.half
                least[one.line][other.line] = max(least[one.line][other.line], gap)
    return least


def _earliest(least: list[list[float]]) -> list[float]:
    found = [0.0]
    for line in range(1, len(least)):
        found.append(max(place + least[before][line] for before, place in enumerate(found)))
    return found


def _are_near(one: Item, other: Item, *, margin: int) -> bool:
    """Whether they are beside each other; with a margin, also if they only touch at their corners."""
    return one.low - margin <= other.high and other.low - margin <= one.high


def _gap(one: Item, other: Item, axis: Axis) -> float:
    if one.sort == other.sort == "wire" and one.wire == other.wire:
        return _SAME_WIRE
    return _GAPS.get((one.sort, other.sort), (0.0, 0.0))[axis]
