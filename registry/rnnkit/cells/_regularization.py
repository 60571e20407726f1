"""Regularization in training: dropout with a fixed mask, recurrent dropout and zoneout."""

from __future__ import annotations

from collections.abc import Sequence
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
    step: Step, inputs: Any, options: StackOptions, cell: Cell, state: Any, *, training: bool
) -> tuple[Step, Any]:
    """Add recurrent dropout and zoneout to the steps of a cell.

    Args:
        step: the function of one step.
        inputs: its inputs at all steps.
        options: the options of the stack.
        cell: the cell.
        state: the state before the first step.
        training: True in training.

    Returns:
        A step and its inputs.
    """
    if training and options.recurrent_dropout:
        step = _with_recurrent_dropout(step, state, cell.recurrent_dropout_parts, options.recurrent_dropout)
    if _has_zoneout(options):
        zoneout = options.zoneout
        rates = type(state)(*(zoneout if isinstance(zoneout, tuple) else (zoneout,) * len(state)))
        if not training:
            return _with_mean_zoneout(step, _traceable(rates, state)), inputs
        step, inputs = _with_zoneout(step), (inputs, _zoneout_masks(state, rates, _time(inputs)))
    return step, inputs


def _traceable(rates: Any, state: Any) -> Any:
    """Return numbers as tensors in a traced program: with `dynamic=True` they are symbols, which `scan` refuses."""
    if not torch.compiler.is_compiling():
        return rates
    return map_state(
        lambda part, rate: part.new_full((), rate) if part.is_floating_point() else part.new_zeros(()), state, rates
    )


def _time(inputs: Any) -> int:
    return _time(inputs[0]) if isinstance(inputs, tuple) else inputs.shape[0]


def _with_recurrent_dropout(step: Step, state: Any, parts: Sequence[str], probability: float) -> Step:
    masks = {name: F.dropout(torch.ones_like(getattr(state, name)), probability) for name in parts}

    def masked(inputs_t: Any, state: Any) -> tuple[Tensor, Any]:
        masked_parts = {name: getattr(state, name) * mask for name, mask in masks.items()}
        return step(inputs_t, state._replace(**masked_parts))

    return masked


def _with_zoneout(step: Step) -> Step:
    """Let some features of the state keep their previous value: those where the masks, a state, are True."""

    def zoned(inputs_t: Any, state: Any) -> tuple[Tensor, Any]:
        inner_t, masks_t = inputs_t
        output, new = step(inner_t, state)
        mixed = map_state(_keep, state, new, masks_t)
        return _replace_output(output, new, mixed), mixed

    return zoned


def _with_mean_zoneout(step: Step, rates: Any) -> Step:
    """Average old and new values with the weights `rates`, a state of probabilities, as in evaluation."""

    def zoned(inputs_t: Any, state: Any) -> tuple[Tensor, Any]:
        output, new = step(inputs_t, state)
        mixed = map_state(_average, state, new, rates)
        return _replace_output(output, new, mixed), mixed

    return zoned


# Integer parts of a state, such as a step count, are bookkeeping: they are never zoned out.
def _average(old: Tensor, new: Tensor, rate: Any) -> Tensor:
    return rate * old + (1 - rate) * new if new.is_floating_point() else new


def _keep(old: Tensor, new: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, old, new) if new.is_floating_point() else new


def _zoneout_masks(state: Any, rates: Any, time: int) -> Any:
    # float32: in a half-precision dtype `rand` rounds to so few values that rates near 0 or 1 are off
    return map_state(lambda part, rate: torch.rand(time, *part.shape, device=part.device) < rate, state, rates)


def _has_zoneout(options: StackOptions) -> bool:
    return any(options.zoneout) if isinstance(options.zoneout, tuple) else options.zoneout > 0


def _replace_output(output: Tensor, new: Any, mixed: Any) -> Any:
    """If a cell outputs a part of its state, output the same part of the mixed state."""
    for before, after in zip(new, mixed, strict=True):
        if output is before:
            return after
    return output
