"""Operators that move values: if they move whole pieces, they cost nothing when a plan runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rnnkit.plan.hoist import replay
from rnnkit.plan.record import Call, Ref

if TYPE_CHECKING:
    from rnnkit.plan.lower import Lowering

MOVES = {
    *("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten", "expand", "repeat", "slice"),
    *("select", "split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "unbind", "cat", "stack"),
    *("transpose", "permute"),
}
"""The names of operators that treat the elements of a batch alike if the batch remains the first axis."""


def move(values: Lowering, call: Call) -> list[Any]:
    """Return the arrays of the results: the operator runs on numbers of features, of which it moves each somewhere."""
    sources = _Sources(values)
    numbers = replay(call, {index: sources.add(index) for index in call.inputs()}, batch=2)
    return [sources.array(moved, single=values.is_single(index)) for index, moved in numbers.items()]


class _Sources:
    """The pieces that an operator moves; feature f of piece p has the number `p * width + f`."""

    def __init__(self, values: Lowering) -> None:
        self._values = values
        self._pieces: list[Any] = []
        self._flags: list[Sequence[bool]] = []

    def add(self, index: int) -> Tensor:
        """Return the numbers of a value: those of a second sequence of a batch are negative."""
        array, shape = self._values.read(Ref(index)), self._values.shape(index)
        is_shared, is_single = index in self._values.parts.parameters, self._values.is_single(index)
        array = array if is_shared else self._values.full(Ref(index))
        features = 1 if is_single else self._values.width
        first = torch.arange(len(self._pieces), len(self._pieces) + array.size, device="cpu") * self._values.width
        numbers = (first.unsqueeze(-1) + torch.arange(features, device="cpu")).reshape(shape)
        self._pieces += array.flat
        self._flags += [(is_shared, is_single)] * array.size
        return numbers if is_shared else torch.stack([numbers, ~numbers])

    def array(self, moved: Tensor, *, single: bool) -> Any:
        """Return the array of a result from the numbers of its features."""
        width = self._values.width
        is_shared, is_single = torch.tensor(self._flags, device="cpu").unbind(-1)
        numbers = moved[0].clamp(min=0)
        second = torch.where(is_shared[numbers // width], numbers, ~numbers)
        if len(moved) != 2 or not torch.equal(moved, torch.stack([numbers, second])):  # sequences
            raise self._values.unsupported("an operation along the batch")
        numbers = numbers.unsqueeze(-1) if single else numbers.unflatten(-1, (-1, width))
        piece = numbers[..., 0] // width
        features = torch.arange(numbers.shape[-1], device="cpu") * ~is_single[piece].unsqueeze(-1)
        if not torch.equal(numbers, (piece * width).unsqueeze(-1) + features) or not (
            numbers.shape[-1] == width or is_single[piece].all()
        ):
            raise self._values.unsupported("an operation that moves single features")
        return np.array(self._pieces, object)[piece.numpy()]
