"""Computes positions of grid lines from the minimum distances between the items on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Axis = Literal[0, 1]
"""0: from left to right; 1: from top to bottom."""

_LEAST = 8.0  # between any two lines
_SAME_WIRE = 14.0
_GAPS = {  # between items on two lines: horizontally, vertically
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
    """An item on a line.

    Attributes:
        type: block, part of a wire, edge of the cell, or name at the end of a wire.
        line: index of the line among the lines in use.
        offset: distance of its center from the line.
        half: half its extent.
        low: first line of the other axis that it covers.
        high: last line of the other axis that it covers.
        wire: number of its wire; -1: none.
    """

    type: Literal["block", "wire", "edge", "name"]
    line: int
    offset: float
    half: float
    low: int
    high: int
    wire: int = -1


def positions(count: int, items: Sequence[Item], axis: Axis) -> list[float]:
    """The position of each line: the mean of its lowest and its highest possible position."""
    least = _least(count, items, axis)
    early = _earliest(least)
    backwards = [[least[count - 1 - high][count - 1 - low] for high in range(count)] for low in range(count)]
    late = [early[-1] - each for each in reversed(_earliest(backwards))]
    return [(one + other) / 2 for one, other in zip(early, late, strict=True)]


def _least(count: int, items: Sequence[Item], axis: Axis) -> list[list[float]]:
    """The minimum distance of each line from each line before it."""
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
    """True if their ranges on the other axis overlap, or are adjacent with `margin=1`."""
    return one.low - margin <= other.high and other.low - margin <= one.high


def _gap(one: Item, other: Item, axis: Axis) -> float:
    if one.type == other.type == "wire" and one.wire == other.wire:
        return _SAME_WIRE
    return _GAPS.get((one.type, other.type), (0.0, 0.0))[axis]
