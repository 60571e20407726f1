"""Regularization in training: dropout with a fixed mask, recurrent dropout and zoneout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit.cells._unroll import Step
from rnnkit.cells.cell import Cell
from rnnkit.model import map_state
from rnnkit.options import StackOptions

Draw = Callable[[Sequence[int], float], Tensor]


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


class Regularization(NamedTuple):
    """Recurrent dropout and zoneout of the steps of one cell; an executor runs steps that they change by a plan.

    Attributes:
        dropout: the probability of zeroing a feature of what a step reads.
        dropout_parts: the parts of the state that dropout acts on.
        zoneout: for each part of the state, the probability that a feature keeps its value; empty for none.
        training: True in training.
    """

    dropout: float
    dropout_parts: tuple[str, ...]
    zoneout: tuple[float, ...]
    training: bool

    @classmethod
    def of(cls, options: StackOptions, cell: Cell, state: Any, *, training: bool) -> Regularization | None:
        """Return the regularization of a cell; None if its steps stay as they are."""
        dropout = options.recurrent_dropout if training else 0.0
        parts = tuple(cell.recurrent_dropout_parts) if dropout else ()
        rates = options.zoneout if isinstance(options.zoneout, tuple) else (options.zoneout,) * len(state)
        zoneout = rates if any(rates) else ()
        return cls(dropout, parts, zoneout, training) if parts or zoneout else None

    def masks(self, state: Any, time: int, draw: Draw) -> tuple[Tensor, ...]:
        """Return the masks of all steps, `(time, batch, ...)` each: those of dropout, then those of zoneout.

        In evaluation there are none.

        Args:
            state: the state before the first step.
            time: the number of steps.
            draw: returns a boolean tensor of a shape, which is True with a probability.
        """
        dropped = [self._dropout_mask(getattr(state, name), time, draw) for name in self.dropout_parts]
        zoneout = zip(state, self.zoneout, strict=False) if self.training else ()
        return (*dropped, *[draw((time, *part.shape), rate) for part, rate in zoneout])

    def _dropout_mask(self, part: Tensor, time: int, draw: Draw) -> Tensor:
        """Return one mask for all steps."""
        scale = 1 / (1 - self.dropout) if self.dropout < 1 else 0.0
        return (draw(part.shape, 1 - self.dropout).to(part.dtype) * scale).expand(time, *part.shape)

    def apply(self, step: Step) -> Step:
        """Return the changed step: a function of `(projected_t, masks_t)`, or of `projected_t` without masks."""
        count = len(self.dropout_parts)

        def regularized(inputs_t: Any, state: Any) -> tuple[Tensor, Any]:
            projected_t, masks_t = inputs_t if self.training else (inputs_t, ())
            dropped = {
                name: getattr(state, name) * mask for name, mask in zip(self.dropout_parts, masks_t, strict=False)
            }
            output, new = step(projected_t, state._replace(**dropped))
            if not self.zoneout:
                return output, new
            mixed = self._keep(state, new, masks_t[count:]) if self.training else self._average(state, new)
            return _replace_output(output, new, mixed), mixed

        return regularized

    def traceable(self, state: Any) -> Regularization:
        """Return it with tensors as rates in a traced program: `scan` refuses symbols, as `dynamic=True` makes them."""
        if not torch.compiler.is_compiling():
            return self
        rates = zip(state, self.zoneout, strict=False)
        return self._replace(
            zoneout=tuple(part.new_full((), rate if part.is_floating_point() else 0) for part, rate in rates)
        )

    def _keep(self, state: Any, new: Any, masks: Sequence[Tensor]) -> Any:
        """Let the features keep their values where the masks are True."""
        return map_state(_keep, state, new, type(state)(*masks))

    def _average(self, state: Any, new: Any) -> Any:
        """Average old and new values with the weights of zoneout, as in evaluation."""
        return map_state(_average, state, new, type(state)(*self.zoneout))


def draw_masks(regularization: Regularization, inputs: Any, state: Any) -> tuple[Tensor, ...]:
    """Return random masks for all steps of a sequence with these inputs."""
    device = state[0].device
    # float32: in a half-precision dtype `rand` rounds to so few values that rates near 0 or 1 are off
    return regularization.masks(state, _time(inputs), lambda shape, rate: torch.rand(*shape, device=device) < rate)


def _time(inputs: Any) -> int:
    return _time(inputs[0]) if isinstance(inputs, tuple) else inputs.shape[0]


# Integer parts of a state, such as a step count, are bookkeeping: they are never zoned out.
def _average(old: Tensor, new: Tensor, rate: Any) -> Tensor:
    return rate * old + (1 - rate) * new if new.is_floating_point() else new


def _keep(old: Tensor, new: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, old, new) if new.is_floating_point() else new


def _replace_output(output: Tensor, new: Any, mixed: Any) -> Any:
    """If a cell outputs a part of its state, output the same part of the mixed state."""
    for before, after in zip(new, mixed, strict=True):
        if output is before:
            return after
    return output
