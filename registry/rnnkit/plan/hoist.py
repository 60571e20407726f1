"""The values that need no state: computed once per sequence by torch, with gradients, not at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from rnnkit.plan.record import BATCH, Call, Ref


@dataclass(frozen=True)
class Hoisted:
    """The calls of a step that depend on parameters, buffers and constants alone, such as `W - W.T`.

    Attributes:
        tensors: pairs of a value and the path of a tensor of the cell.
        calls: the calls, in order.
        weights: the values that are the right sides of matrix products, `(features, other_features)` each.
        vectors: the values that are read element-wise.
    """

    tensors: tuple[tuple[int, str], ...]
    calls: tuple[Call, ...]
    weights: tuple[int, ...]
    vectors: tuple[int, ...]

    def evaluate(self, cell: Any) -> dict[int, Tensor]:
        """Return the values of a cell, connected to its parameters by autograd.

        Args:
            cell: the cell; its parameters may have been changed or replaced since the step was recorded.
        """
        values = {index: attrgetter(path)(cell) for index, path in self.tensors}
        for call in self.calls:
            values.update(replay(call, values))
        return values

    def select(self, values: Mapping[int, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the weights and the vectors, of one axis, among the values."""
        return [values[index] for index in self.weights], [values[index].reshape(-1) for index in self.vectors]


@dataclass(frozen=True)
class Projection:
    """The calls of a step that depend on the input and on parameters, but not on the state.

    An executor computes them for all time steps at once. It is what `Cell.project` leaves to do, and for a step
    without `project` all that depends on the input.

    Attributes:
        inputs: the values of the tensors that `Cell.project` returns.
        calls: the calls, in order; each treats the elements of the batch alike.
        results: the values that the rest of the step reads.
    """

    inputs: tuple[int, ...]
    calls: tuple[Call, ...]
    results: tuple[int, ...]

    def evaluate(self, projected: Sequence[Tensor], values: Mapping[int, Tensor]) -> list[Tensor]:
        """Return the results at all time steps, `(time, batch, ...)` each.

        Args:
            projected: the tensors that `Cell.project` returns, `(time, batch, ...)` each.
            values: the values of the parameters, from `Hoisted.evaluate`.
        """
        time, batch = projected[0].shape[:2]
        flat = {index: each.flatten(0, 1) for index, each in zip(self.inputs, projected, strict=True)}
        known = {**values, **flat}
        for call in self.calls:
            known.update(replay(call, known, time * batch))
        return [known[index].unflatten(0, (time, batch)) for index in self.results]


def replay(call: Call, values: Mapping[int, Tensor], batch: int = 0) -> Mapping[int, Tensor]:
    """Return the results of a call from the values that it reads, for a batch of this size."""
    arguments = [_decode(each, values, batch) for each in call.arguments]
    results = call.operator(*arguments, **{name: _decode(each, values, batch) for name, each in call.keywords})
    tensors = [results] if isinstance(results, torch.Tensor) else results
    return dict(zip(call.results, tensors, strict=True))


def _decode(value: Any, values: Mapping[int, Tensor], batch: int) -> Any:
    if isinstance(value, Ref):
        return values[value.index]
    if isinstance(value, tuple):
        return [_decode(each, values, batch) for each in value]
    return batch if isinstance(value, str) and value == BATCH else value
