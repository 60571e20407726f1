"""Writes shapes in terms of the fields of a spec: `(20, 10)` is `(hidden_size, input_size)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnkit import RecurrentSpec

_MAX_MULTIPLE = 8  # of blocks that are stacked in one parameter


def shape_text(shape: Sequence[int], spec: RecurrentSpec[Any]) -> str:
    """The shape of a tensor of a one-layer model, with each axis in terms of its spec."""
    axes = [_axis(size, spec.input_size, spec.hidden_sizes[0]) for size in shape]
    return f"`({', '.join(axes)}{',' * (len(axes) == 1)})`" if axes else "scalar"


def _axis(size: int, input_size: int, hidden_size: int) -> str:
    known = {hidden_size: "hidden_size", input_size: "input_size", hidden_size + input_size: "hidden_size + input_size"}
    for multiple in range(2, _MAX_MULTIPLE + 1):
        known.setdefault(multiple * hidden_size, f"{multiple} * hidden_size")
        known.setdefault(multiple * input_size, f"{multiple} * input_size")
    return known.get(size, str(size))
