"""The readouts `last`, `mean`, `max` and `all`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnkit import Readout, RecurrentSpec, hookimpl


class Last(Readout):
    """The output at the last valid step; of the reverse direction the output at step 0, its own last step."""

    name = "last"
    pools = False

    def __init__(self, spec: RecurrentSpec[Any], features: int, **where: Any) -> None:
        super().__init__(spec, features, **where)
        self.forward_features = features // spec.directions

    def pool(self, output: Tensor, lengths: Tensor | None) -> Tensor:
        end = output[:, -1] if lengths is None else _at_step(output, lengths - 1)
        if self.forward_features == output.shape[-1]:
            return end
        return torch.cat([end[:, : self.forward_features], output[:, 0, self.forward_features :]], dim=-1)


class Mean(Readout):
    """The mean over the valid steps."""

    name = "mean"

    def pool(self, output: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            return output.mean(1)
        return output.sum(1) / lengths.clamp(min=1).unsqueeze(-1)


class Max(Readout):
    """The largest value of each feature over the valid steps."""

    name = "max"

    def pool(self, output: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            return output.amax(1)
        largest = output.masked_fill(self.padding(output, lengths), -torch.inf).amax(1)
        return largest.masked_fill((lengths == 0).unsqueeze(-1), 0)


class All(Readout):
    """Every step. Past a sequence's length the output is zero, after the linear layer too."""

    name = "all"
    per_step = True
    pools = False

    def pool(self, output: Tensor, lengths: Tensor | None) -> Tensor:  # noqa: ARG002  # `forward` masks the padding
        return output


def _at_step(output: Tensor, steps: Tensor) -> Tensor:
    """The output of each sequence at its own step; an empty sequence is zero at every step, so any step will do."""
    steps = steps.clamp(min=0)
    sequences = torch.arange(steps.shape[0], device=steps.device)  # `len` would fix the batch size of an export
    return output[sequences, steps]


@hookimpl
def register_readouts(register: Callable[[type[Readout]], None]) -> None:
    for readout in (Last, Mean, Max, All):
        register(readout)
