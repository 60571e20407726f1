"""Regularization in training: dropout with a fixed mask, recurrent dropout and zoneout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit.cells._unroll import Step
from rnnkit.cells.cell import Cell
from rnnkit.model import map_state
from rnnkit.options import StackOptions


def apply_dropout(x: Tensor, probability: float, *, one_mask: bool) -> Tensor:
    """Zero features of `(time, batch, features)`, and scale the others by 1 / (1 - probability).

    Args:
        x: the input.
        probability: probability of zeroing a feature.
        one_mask: True to use one mask for all steps of a sequence, as in variational dropout.
    """
    if not one_mask:
        return F.dropout(x, probability)
    return x * F.dropout(torch.ones_like(x[0]), probability)


def apply_regularization(
    step: Step, options: StackOptions, cell: Cell, state: Any, time: int, *, training: bool
) -> Step:
    """Wrap the step of a cell in recurrent dropout and zoneout, for one sequence of `time` steps from `state`."""
    if training and options.recurrent_dropout:
        step = _with_recurrent_dropout(step, state, cell.recurrent_dropout_parts, options.recurrent_dropout)
    if _has_zoneout(options):
        zoneout = options.zoneout
        rates = type(state)(*(zoneout if isinstance(zoneout, tuple) else (zoneout,) * len(state)))
        step = _with_zoneout(step, _zoneout_masks(state, rates, time) if training else None, rates)
    return step


def _with_recurrent_dropout(step: Step, state: Any, parts: Sequence[str], probability: float) -> Step:
    masks = {name: F.dropout(torch.ones_like(getattr(state, name)), probability) for name in parts}

    def masked(projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        masked_parts = {name: getattr(state, name) * mask for name, mask in masks.items()}
        return step(projected_t, state._replace(**masked_parts))

    return masked


def _with_zoneout(step: Step, masks: Iterator[Any] | None, rates: Any) -> Step:
    """Wrap a step so that some features of the state keep their previous value.

    Args:
        step: the step.
        masks: for each step a state of masks, True where the value is kept; None in evaluation, where old and new
            values are averaged with the weights `rates`.
        rates: a state of probabilities.
    """

    def zoned(projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        output, new = step(projected_t, state)
        mixed = map_state(_average, state, new, rates) if masks is None else map_state(_keep, state, new, next(masks))
        return _replace_output(output, new, mixed), mixed

    return zoned


# Integer parts of a state, such as a step count, are bookkeeping: they are never zoned out.
def _average(old: Tensor, new: Tensor, rate: float) -> Tensor:
    return rate * old + (1 - rate) * new if new.is_floating_point() else new


def _keep(old: Tensor, new: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, old, new) if new.is_floating_point() else new


def _zoneout_masks(state: Any, rates: Any, time: int) -> Iterator[Any]:
    for _ in range(time):
        # float32: in a half-precision dtype `rand` rounds to so few values that rates near 0 or 1 are off
        yield map_state(lambda part, rate: torch.rand_like(part, dtype=torch.float32) < rate, state, rates)


def _has_zoneout(options: StackOptions) -> bool:
    return any(options.zoneout) if isinstance(options.zoneout, tuple) else options.zoneout > 0


def _replace_output(output: Tensor, new: Any, mixed: Any) -> Any:
    """If a cell outputs a part of its state, output the same part of the mixed state."""
    for before, after in zip(new, mixed, strict=True):
        if output is before:
            return after
    return output
