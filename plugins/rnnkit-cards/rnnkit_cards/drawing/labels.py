"""Places the name of a block: beside its outgoing wire, or beside the block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from rnnkit_cards.drawing.geometry import XY, Area
from rnnkit_cards.drawing.math_text import Text, text_width
from rnnkit_cards.drawing.sizes import NAME_FONT_SIZE

_ABOVE, _BELOW = 0.55, 0.62  # extent of text above and below its center, relative to the font size
_BESIDE = 6.0
_STEP = 5.0
_LONGEST = 90.0  # maximum distance of a name from the start of its wire


class Role(Enum):
    """The role of a wire or a name, which determines its color."""

    STATE = "state"
    INPUT = "input"
    LAYER = "layer"
    OUTPUT = "output"
    OTHER = "other"


class Label(NamedTuple):
    """A name beside a block or at the end of a wire.

    Attributes:
        text: its text.
        at: its vertical center; horizontally, the point of the text that `anchor` names.
        anchor: `start`, `middle` or `end`.
        size: font size.
        role: its role.
        lines: the lines of the equation that it belongs to.
    """

    text: Text
    at: XY
    anchor: str
    size: float
    role: Role
    lines: frozenset[int] = frozenset()

    @property
    def area(self) -> Area:
        width = text_width(self.text, self.size)
        x, y = self.at
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return Area(left, y - _ABOVE * self.size, left + width, y + _BELOW * self.size)


def free_label(text: Text, block: Area, path: Sequence[XY], walls: Sequence[Area], within: Area) -> tuple[Label, bool]:
    """The first free candidate and True, or the first candidate and False if none is free."""
    first: Label | None = None
    for at, anchor in _candidates(block, path):
        label = Label(text, at, anchor, NAME_FONT_SIZE, Role.LAYER)
        first = first or label
        if within.holds(label.area) and not any(label.area.overlaps(wall) for wall in walls):
            return label, True
    if first is None:
        raise AssertionError("there are always candidates around a block")
    return first, False


def _candidates(block: Area, path: Sequence[XY]) -> Iterator[tuple[XY, str]]:
    """Positions and anchors for a label, the best first."""
    half = _BELOW * NAME_FONT_SIZE + 1
    distance = 0.0
    for one, other in pairwise(path):
        if distance < _LONGEST:
            yield from _along(one, other, half)
        distance += abs(one[0] - other[0]) + abs(one[1] - other[1])
    for y in (block.top - half, block.bottom + _ABOVE * NAME_FONT_SIZE + 1):
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
    """Positions beside a segment of a wire: right and left of a vertical one, above and below a horizontal one."""
    (a, b), (c, d) = one, other
    length = abs(a - c) + abs(b - d)
    steps = [half + _STEP * at for at in range(int(max(0.0, min(length, _LONGEST) - half) / _STEP) + 1)]
    for distance in steps:
        if a == c:
            y = b + distance * (1 if d > b else -1)
            yield (a + _BESIDE, y), "start"
            yield (a - _BESIDE, y), "end"
    for distance in steps:
        if b == d:
            x = a + distance * (1 if c > a else -1)
            anchor = "start" if c > a else "end"
            yield (x, b - half - 2), anchor
            yield (x, b + half + 5), anchor
