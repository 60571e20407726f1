"""What acts on every time step in training: zoneout, and dropout with one mask for all steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit.cells.cell import Cell
from rnnkit.cells.unroll import Step
from rnnkit.model import map_state
from rnnkit.options import StackOptions


def apply_dropout(x: Tensor, probability: float, *, one_mask: bool) -> Tensor:
    """Zero features of `(time, batch, features)`, and scale the others by 1 / (1 - probability).

    Args:
        x: what to act on.
        probability: of each feature.
        one_mask: whether a row has the same mask at all of its steps.
    """
    if not one_mask:
        return F.dropout(x, probability)
    return x * F.dropout(torch.ones_like(x[0]), probability)


def apply_regularization(
    step: Step, options: StackOptions, cell: Cell, state: Any, time: int, *, training: bool
) -> Step:
    """The step of a cell under these options, for a sequence that starts with a state and has so many steps."""
    if training and options.recurrent_dropout:
        step = with_recurrent_dropout(step, state, cell.recurrent_dropout_parts, options.recurrent_dropout)
    if _zones(options):
        zoneout = options.zoneout
        rates = type(state)(*(zoneout if isinstance(zoneout, tuple) else (zoneout,) * len(state)))
        step = with_zoneout(step, zoneout_masks(state, rates, time) if training else None, rates)
    return step


def with_recurrent_dropout(step: Step, state: Any, parts: Sequence[str], probability: float) -> Step:
    """The step that reads some parts of the state through a mask, the same at all steps."""
    masks = {name: F.dropout(torch.ones_like(getattr(state, name)), probability) for name in parts}

    def masked(projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        read = {name: getattr(state, name) * mask for name, mask in masks.items()}
        return step(projected_t, state._replace(**read))

    return masked


def with_zoneout(step: Step, masks: Iterator[Any] | None, rates: Any) -> Step:
    """The step after which some features have the value from before.

    Args:
        step: the step.
        masks: at each step a state of masks, True for what keeps its value; None: as in evaluation, old and new values
            are averaged by `rates`.
        rates: a state of probabilities.
    """

    def zoned(projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        output, after = step(projected_t, state)
        if masks is None:
            mixed = map_state(_averaged, state, after, rates)
        else:
            mixed = map_state(_kept, state, after, next(masks))
        return _same_part(output, after, mixed), mixed

    return zoned


def _averaged(old: Tensor, new: Tensor, rate: float) -> Tensor:
    return rate * old + (1 - rate) * new if new.is_floating_point() else new


def _kept(old: Tensor, new: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, old, new) if new.is_floating_point() else new


def zoneout_masks(state: Any, rates: Any, time: int) -> Iterator[Any]:
    """Random masks of `with_zoneout` for so many steps."""
    for _ in range(time):
        yield map_state(lambda part, rate: torch.rand_like(part, dtype=torch.float32) < rate, state, rates)


def _zones(options: StackOptions) -> bool:
    return any(options.zoneout) if isinstance(options.zoneout, tuple) else options.zoneout > 0


def _same_part(output: Tensor, after: Any, mixed: Any) -> Any:
    """The output of a cell that outputs a part of its state is that part still."""
    for before, now in zip(after, mixed, strict=True):
        if output is before:
            return now
    return output
