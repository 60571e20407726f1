"""Draws a learning curve as SVG, in the colors of the page that contains it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from rnnkit_cards.measurements import Learning

_WIDTH, _HEIGHT = 480, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 468, 16, 240
_INK = "var(--md-default-fg-color, #24292f)"
_FAINT = "var(--rnnkit-edge, #cfdcdd)"
_KIND = "var(--rnnkit-state, #0b7285)"
_LSTM = "var(--rnnkit-line, #5d6b71)"


def curve_svg(kind: str, learning: Learning) -> str:
    """The test accuracy after each epoch: of the kind as a colored line, of torch's LSTM as a thin dashed one."""
    return "\n".join(_Curve(kind, learning).lines())


class _Curve:
    def __init__(self, kind: str, learning: Learning) -> None:
        self.kind, self.learning = kind, learning
        least = min(*learning.accuracies, *learning.lstm_accuracies)
        self.low = min(math.floor(least * 10) / 10, 0.9)
        self.epochs = max(len(learning.accuracies), 2)

    def lines(self) -> Iterator[str]:
        title = f"Test accuracy of {self.kind} and of torch's LSTM on digits after each epoch"
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
            f'class="rnnkit-curve" role="img" aria-label="{escape(title)}" font-family="inherit" font-size="14">'
        )
        yield from self._grid()
        yield self._line(self.learning.lstm_accuracies, _LSTM, 'stroke-width="1.5" stroke-dasharray="5 4"')
        yield self._line(self.learning.accuracies, _KIND, 'stroke-width="3"')
        yield from self._dots()
        yield from self._legend()
        yield "</svg>"

    def _grid(self) -> Iterator[str]:
        for percent in self._percent_ticks():
            y = self._y(percent / 100)
            yield f'<path d="M{_LEFT} {y}H{_RIGHT}" stroke="{_FAINT}"/>'
            yield _text(_LEFT - 8, y + 5, f"{percent} %", "end")
        for epoch in self._epoch_ticks():
            yield _text(self._x(epoch), _BOTTOM + 20, str(epoch), "middle")
        yield _text((_LEFT + _RIGHT) / 2, _HEIGHT - 8, "epoch", "middle")

    def _percent_ticks(self) -> range:
        low = round(100 * self.low)
        step = 2 if low >= 90 else 5 if low >= 75 else 10 if low >= 30 else 20
        return range(100, low - 1, -step)

    def _epoch_ticks(self) -> list[int]:
        step = math.ceil(self.epochs / 15) * 2
        return list(range(1, self.epochs + 1, step))

    def _line(self, accuracies: Sequence[float], color: str, style: str) -> str:
        points = " ".join(f"{self._x(epoch)},{self._y(each)}" for epoch, each in enumerate(accuracies, 1))
        return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-linejoin="round" {style}/>'

    def _dots(self) -> Iterator[str]:
        for epoch, each in enumerate(self.learning.accuracies, 1):
            yield f'<circle cx="{self._x(epoch)}" cy="{self._y(each)}" r="3.5" fill="{_KIND}"/>'

    def _legend(self) -> Iterator[str]:
        for index, (name, color, style) in enumerate(
            (
                (self.kind, _KIND, 'stroke-width="3"'),
                ("torch.nn.LSTM", _LSTM, 'stroke-width="1.5" stroke-dasharray="5 4"'),
            )
        ):
            y = _BOTTOM - 40 + 22 * index
            yield f'<path d="M{_RIGHT - 176} {y}h30" stroke="{color}" {style}/>'
            yield _text(_RIGHT - 138, y + 5, name, "start")

    def _x(self, epoch: float) -> float:
        return round(_LEFT + (epoch - 1) / (self.epochs - 1) * (_RIGHT - _LEFT), 1)

    def _y(self, accuracy: float) -> float:
        return round(_BOTTOM - (accuracy - self.low) / (1 - self.low) * (_BOTTOM - _TOP), 1)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{_INK}">{escape(text)}</text>'
