"""Shapes in the words of a spec: `(20, 10)` is `(hidden_size, input_size)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnkit import RecurrentSpec

_MOST = 8  # times that something stands above itself


def shape_in_words(shape: Sequence[int], spec: RecurrentSpec[Any]) -> str:
    """The shape of something in a model of one layer, each axis in the words of its spec."""
    axes = [_axis(size, spec.input_size, spec.hidden_sizes[0]) for size in shape]
    return f"`({', '.join(axes)}{',' * (len(axes) == 1)})`" if axes else "a number"


def _axis(size: int, input_size: int, hidden_size: int) -> str:
    known = {hidden_size: "hidden_size", input_size: "input_size", hidden_size + input_size: "hidden_size + input_size"}
    for times in range(2, _MOST + 1):
        known.setdefault(times * hidden_size, f"{times} * hidden_size")
        known.setdefault(times * input_size, f"{times} * input_size")
    return known.get(size, str(size))
