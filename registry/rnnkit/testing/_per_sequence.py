"""Runs each sequence of a batch alone, and stacks the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel, map_state
from rnnkit.testing._comparison import leaves


def batch_axes(model: RecurrentModel) -> Any:
    """The batch axis of each tensor of the state; None for tensors that all sequences share."""

    def axis(of_two: torch.Size, of_three: torch.Size) -> int | None:
        return next((i for i, (two, three) in enumerate(zip(of_two, of_three, strict=True)) if two != three), None)

    return map_state(axis, model.backbone.state_shapes(2), model.backbone.state_shapes(3))


def select_sequences(state: Any, axes: Any, sequences: Sequence[int]) -> Any:
    """The state of some sequences, with the parts that all sequences share."""
    index = torch.tensor(sequences)
    return map_state(lambda part, axis: part if axis is None else part.index_select(axis, index), state, axes)


def batched_parts(state: Any, axes: Any) -> list[Tensor]:
    """The tensors of a state that have a batch axis, moved to the front."""
    return leaves(map_state(lambda part, axis: () if axis is None else part.movedim(axis, 0), state, axes))


def run_sequences_alone(
    model: RecurrentModel, x: Tensor, state: Any, lengths: Sequence[int]
) -> tuple[Tensor, list[Tensor]]:
    """The backbone's outputs and final states, as `batched_parts`, of each sequence run alone and cut to its length.

    A sequence of length 0 gives zeros and its initial state.
    """
    batch_axis, time_axis = (0, 1) if model.spec.batch_first else (1, 0)
    axes, shape = batch_axes(model), [1, 1, model.backbone.features]
    outputs, finals = [], []
    for index, length in enumerate(lengths):
        final, pieces = select_sequences(state, axes, [index]), []
        if length > 0:
            output, final = model.backbone(x.narrow(batch_axis, index, 1).narrow(time_axis, 0, length), final)
            pieces.append(output)
        shape[time_axis] = x.shape[time_axis] - length
        outputs.append(torch.cat([*pieces, x.new_zeros(shape)], dim=time_axis))
        finals.append(batched_parts(final, axes))
    return torch.cat(outputs, dim=batch_axis), [torch.cat(part) for part in zip(*finals, strict=True)]
