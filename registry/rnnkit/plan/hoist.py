"""The values that parameters alone give: computed once per sequence, with gradients, not at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from rnnkit.plan.record import Call, Ref


@dataclass(frozen=True)
class Hoisted:
    """The calls of a step that depend on parameters, buffers and constants alone, such as `W - W.T`.

    Attributes:
        tensors: pairs of a value and the path of a tensor of the cell.
        calls: the calls, in order.
        weights: the values that are the right sides of matrix products, `(features, other_features)` each.
        vectors: the values that are read element-wise: one axis after `repeats` are applied.
        repeats: for each vector, how often its only element is repeated; 1 for a vector of several elements.
    """

    tensors: tuple[tuple[int, str], ...]
    calls: tuple[Call, ...]
    weights: tuple[int, ...]
    vectors: tuple[int, ...]
    repeats: tuple[int, ...]

    def evaluate(self, cell: Any) -> tuple[list[Tensor], list[Tensor]]:
        """Return the weights and the vectors of a cell, connected to its parameters by autograd.

        Args:
            cell: the cell; its parameters may have been changed or replaced since the step was recorded.
        """
        values = {index: attrgetter(path)(cell) for index, path in self.tensors}
        for call in self.calls:
            values.update(_replay(call, values))
        vectors = [values[index].reshape(-1) for index in self.vectors]
        repeated = [vector.expand(n) if n > 1 else vector for vector, n in zip(vectors, self.repeats, strict=True)]
        return [values[index] for index in self.weights], repeated


def _replay(call: Call, values: Mapping[int, Tensor]) -> Mapping[int, Tensor]:
    results = call.operator(*_decode(call.arguments, values), **{k: _decode(v, values) for k, v in call.keywords})
    tensors = [results] if isinstance(results, torch.Tensor) else results
    return dict(zip(call.results, tensors, strict=True))


def _decode(value: Any, values: Mapping[int, Tensor]) -> Any:
    if isinstance(value, Ref):
        return values[value.index]
    return [_decode(each, values) for each in value] if isinstance(value, tuple) else value
