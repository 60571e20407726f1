"""Regularization in training: dropout with a fixed mask, recurrent dropout and zoneout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit.cells._unroll import Step
from rnnkit.cells.cell import Cell, state_fields
from rnnkit.model import expand_mask
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
        zoneout: for each part that zoneout acts on, the probability that a feature keeps its value; empty for none.
        zoneout_parts: the parts of the state that zoneout acts on.
        shared_mask: those among them that share one mask over their first two axes.
        training: True in training.
    """

    dropout: float
    dropout_parts: tuple[str, ...]
    zoneout: tuple[Any, ...]
    zoneout_parts: tuple[str, ...]
    shared_mask: tuple[str, ...]
    training: bool

    @classmethod
    def of(cls, options: StackOptions, cell: Cell, state: Any, *, training: bool) -> Regularization | None:
        """Return the regularization of a cell; None if its steps stay as they are."""
        dropout = options.recurrent_dropout if training else 0.0
        parts = tuple(cell.recurrent_dropout_parts) if dropout else ()
        rates = options.zoneout if isinstance(options.zoneout, tuple) else (options.zoneout,) * len(state)
        zoneout = {
            name: rate
            for name, part, rate in zip(state_fields(type(cell)), state, rates, strict=True)
            if part.is_floating_point() and name not in cell.bookkeeping
        }
        zoneout = zoneout if any(zoneout.values()) else {}
        shared = tuple(name for name in cell.shared_zoneout_mask if name in zoneout)
        if not parts and not zoneout:
            return None
        return cls(dropout, parts, tuple(zoneout.values()), tuple(zoneout), shared, training)

    def masks(self, state: Any, time: int, draw: Draw) -> tuple[Tensor, ...]:
        """Return the masks of all steps, `(time, batch, ...)` each: those of dropout, those of zoneout, the shared one.

        In evaluation there are none.

        Args:
            state: the state before the first step.
            time: the number of steps.
            draw: returns a boolean tensor of a shape, which is True with a probability.
        """
        dropped = [self._dropout_mask(getattr(state, name), time, draw) for name in self.dropout_parts]
        if not self.training:
            return (*dropped,)
        rates = dict(zip(self.zoneout_parts, self.zoneout, strict=True))
        kept = [draw((time, *getattr(state, name).shape), rates[name]) for name in self._own_masks()]
        shared = [draw((time, *getattr(state, name).shape[:2]), rates[name]) for name in self.shared_mask[:1]]
        return (*dropped, *kept, *shared)

    def _own_masks(self) -> list[str]:
        """Return the parts that zoneout acts on with a mask of their own."""
        return [name for name in self.zoneout_parts if name not in self.shared_mask]

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
        rates = zip(self.zoneout_parts, self.zoneout, strict=True)
        return self._replace(zoneout=tuple(getattr(state, name).new_full((), rate) for name, rate in rates))

    def _keep(self, state: Any, new: Any, masks: Sequence[Tensor]) -> Any:
        """Let the features keep their values where the masks are True."""
        own = zip(self._own_masks(), masks, strict=False)  # the shared mask follows
        of_parts = {**dict(own), **{name: expand_mask(masks[-1], getattr(new, name)) for name in self.shared_mask}}
        kept = {name: torch.where(mask, getattr(state, name), getattr(new, name)) for name, mask in of_parts.items()}
        return new._replace(**kept)

    def _average(self, state: Any, new: Any) -> Any:
        """Average old and new values with the weights of zoneout, as in evaluation."""
        rates = zip(self.zoneout_parts, self.zoneout, strict=True)
        return new._replace(
            **{name: rate * getattr(state, name) + (1 - rate) * getattr(new, name) for name, rate in rates}
        )


def draw_masks(regularization: Regularization, inputs: Any, state: Any) -> tuple[Tensor, ...]:
    """Return random masks for all steps of a sequence with these inputs."""
    device = state[0].device
    # float32: in a half-precision dtype `rand` rounds to so few values that rates near 0 or 1 are off
    return regularization.masks(state, _time(inputs), lambda shape, rate: torch.rand(*shape, device=device) < rate)


def _time(inputs: Any) -> int:
    return _time(inputs[0]) if isinstance(inputs, tuple) else inputs.shape[0]


def _replace_output(output: Tensor, new: Any, mixed: Any) -> Any:
    """If a cell outputs a part of its state, output the same part of the mixed state."""
    for before, after in zip(new, mixed, strict=True):
        if output is before:
            return after
    return output
