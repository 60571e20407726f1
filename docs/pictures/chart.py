"""A frame with two axes, and where a figure lies in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log2

from docs.pictures.svg import line, text


@dataclass(frozen=True)
class Chart:
    """Figures from `x[0]` to `x[1]` and `y[0]` to `y[1]`, in a frame of some width and height.

    Attributes:
        x: the range of the figures across.
        y: the range of the figures upwards.
        logarithmic: whether the axis across is.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    left: float = 62
    top: float = 16
    width: float = 440
    height: float = 220
    logarithmic: bool = False

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def across(self, value: float) -> float:
        low, high = self.x
        share = log2(value / low) / log2(high / low) if self.logarithmic else (value - low) / (high - low)
        return self.left + self.width * share

    def up(self, value: float) -> float:
        low, high = self.y
        return self.bottom - self.height * (value - low) / (high - low)

    def at(self, xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
        """Where points lie in the drawing."""
        return [(self.across(x), self.up(y)) for x, y in zip(xs, ys, strict=True)]

    def axes(self, xs: Sequence[float], ys: Sequence[float], *, x_label: str, unit: str = "") -> Iterator[str]:
        """The grid with its figures, and what the axis across is."""
        for y in ys:
            yield line([(self.left, self.up(y)), (self.left + self.width, self.up(y))], "edge", width=1)
            yield text(self.left - 8, self.up(y) + 5, f"{y:g}{unit}", colour="line", size=15, anchor="end")
        for x in xs:
            yield text(self.across(x), self.bottom + 19, f"{x:g}", colour="line", size=15, anchor="middle")
        yield text(self.left + self.width / 2, self.bottom + 40, x_label, colour="line", size=15, anchor="middle")
