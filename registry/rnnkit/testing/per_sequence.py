"""The rows of a batch: each run alone, and what comes of it put together again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel, map_state


def batch_axes(model: RecurrentModel) -> Any:
    """The state with the axis of the batch in the place of each tensor; None: the part is shared by all rows."""

    def axis(of_two: torch.Size, of_three: torch.Size) -> int | None:
        return next((i for i, (two, three) in enumerate(zip(of_two, of_three, strict=True)) if two != three), None)

    return map_state(axis, model.backbone.state_shapes(2), model.backbone.state_shapes(3))


def rows_of(state: Any, axes: Any, sequences: Sequence[int]) -> Any:
    """The state of some rows, together with what all share."""
    index = torch.tensor(sequences)
    return map_state(lambda part, axis: part if axis is None else part.index_select(axis, index), state, axes)


def parts_by_row(state: Any, axes: Any) -> list[Tensor]:
    """The tensors of a state that are of single rows, with the rows first."""
    found = map_state(lambda part, axis: [] if axis is None else [part.movedim(axis, 0)], state, axes)
    return [part for of_place in _flat(found) for part in of_place]


def each_row_alone(model: RecurrentModel, x: Tensor, state: Any, lengths: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
    """The backbone's output of each row by itself, cut at its length, and the final state as `parts_by_row` has it.

    A row without a step gives zeros, and the state that it came with.
    """
    batch_axis, time_axis, axes = *_axes(model), batch_axes(model)
    outputs, finals = [], []
    for row, length in enumerate(lengths):
        output, final = x.new_zeros(_shape(model, length)), rows_of(state, axes, [row])
        if length > 0:
            output, final = model.backbone(x.narrow(batch_axis, row, 1).narrow(time_axis, 0, length), final)
        rest = output.new_zeros(_shape(model, x.shape[time_axis] - length))
        outputs.append(torch.cat([output, rest], dim=time_axis))
        finals.append(parts_by_row(final, axes))
    return torch.cat(outputs, dim=batch_axis), [torch.cat(part) for part in zip(*finals, strict=True)]


def _axes(model: RecurrentModel) -> tuple[int, int]:
    return (0, 1) if model.spec.batch_first else (1, 0)


def _shape(model: RecurrentModel, time: int) -> tuple[int, int, int]:
    """Of the output of one row."""
    features = model.backbone.features
    return (1, time, features) if model.spec.batch_first else (time, 1, features)


def _flat(state: Any) -> list[Any]:
    """What stands in the place of each tensor of a state, in order."""
    return [found for part in state for found in _flat(part)] if isinstance(state, tuple) else [state]
