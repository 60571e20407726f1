"""Finds room for the name of a block: beside the wire that leaves it, or beside the block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from rnnkit.kind_page.drawing.geometry import XY, Area
from rnnkit.kind_page.drawing.letters import Text, width_of
from rnnkit.kind_page.drawing.sizes import NAMES

_ABOVE, _BELOW = 0.55, 0.62  # of a line of text above and below its middle, in sizes
_BESIDE = 6.0
_STEP = 5.0
_LONGEST = 90.0  # how far along its wire a name may be


class Role(Enum):
    """What a wire or a name stands for, and so its colour."""

    STATE = "state"
    INPUT = "input"
    LAYER = "layer"
    OUTPUT = "output"
    OTHER = "other"


class Label(NamedTuple):
    """A name that is written beside something.

    Attributes:
        text: what is written.
        at: its middle from top to bottom; its beginning, middle or end from left to right, as `anchor` says.
        anchor: `start`, `middle` or `end`.
        size: of its letters.
        role: what it stands for.
    """

    text: Text
    at: XY
    anchor: str
    size: float
    role: Role

    @property
    def area(self) -> Area:
        width = width_of(self.text, self.size)
        x, y = self.at
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return Area(left, y - _ABOVE * self.size, left + width, y + _BELOW * self.size)


def free_label(text: Text, block: Area, way: Sequence[XY], walls: Sequence[Area], within: Area) -> tuple[Label, bool]:
    """The first place that is free, and whether there was one; else the first of all."""
    first: Label | None = None
    for at, anchor in _places(block, way):
        label = Label(text, at, anchor, NAMES, Role.LAYER)
        first = first or label
        if within.holds(label.area) and not any(label.area.overlaps(wall) for wall in walls):
            return label, True
    if first is None:
        raise AssertionError("a block has places around it")
    return first, False


def _places(block: Area, way: Sequence[XY]) -> Iterator[tuple[XY, str]]:
    """Places for a label, the best first."""
    half = _BELOW * NAMES + 1
    gone = 0.0
    for one, other in pairwise(way):
        if gone < _LONGEST:
            yield from _along(one, other, half)
        gone += abs(one[0] - other[0]) + abs(one[1] - other[1])
    for y in (block.top - half, block.bottom + _ABOVE * NAMES + 1):
        yield (block.left, y), "start"
        yield (block.right, y), "end"
        yield ((block.left + block.right) / 2, y), "middle"
    middle = (block.top + block.bottom) / 2
    yield (block.right + 4, middle), "start"
    yield (block.left - 4, middle), "end"
    for y in (block.top, block.bottom):
        yield (block.right + 2, y), "start"
        yield (block.left - 2, y), "end"


def _along(one: XY, other: XY, half: float) -> Iterator[tuple[XY, str]]:
    """Beside a part of a wire: to the right and left of a vertical one, above and below a horizontal one."""
    (a, b), (c, d) = one, other
    length = abs(a - c) + abs(b - d)
    steps = [half + _STEP * at for at in range(int(max(0.0, min(length, _LONGEST) - half) / _STEP) + 1)]
    for gone in steps:
        if a == c:
            y = b + gone * (1 if d > b else -1)
            yield (a + _BESIDE, y), "start"
            yield (a - _BESIDE, y), "end"
    for gone in steps:
        if b == d:
            x = a + gone * (1 if c > a else -1)
            anchor = "start" if c > a else "end"
            yield (x, b - half - 2), anchor
            yield (x, b + half + 5), anchor
