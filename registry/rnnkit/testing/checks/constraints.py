"""Constraints on parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnkit import Cell, RecurrentModel, constrain_
from rnnkit.testing._check import check
from rnnkit.testing._context import Case, CheckContext

_STEP = 1e4  # of an optimizer, far out of any bound
_BOUNDED = 0.1  # of the step: the least that a constraint must take back


@check("training")
def constraints_bound_large_steps(context: CheckContext) -> None:
    """`constrain_` changes nothing in a new model nor in a second call, and moves parameters back after a large step.

    The initial values break a bound, the constraint moves values that are inside of it, or nothing calls it.
    """
    cells = {type(each) for each in context.kind.model.modules() if isinstance(each, Cell)}
    context.skip_unless(any(cell.constrain_ is not Cell.constrain_ for cell in cells), "no cell defines `constrain_`")
    bounded = [_bounds_steps(context, case) for case in context.cases(context.kind.variants, bidirectional=False)]
    context.assert_true(any(bounded), f"after a step of {_STEP:g}, `constrain_` changes no parameter with any option")


def _bounds_steps(context: CheckContext, case: Case) -> bool:
    """Whether the constraint acts on a large step of all parameters, in one of the two directions."""
    model = case.model(perturb=False)
    initial = _values(model)
    context.assert_equal(_constrained(context, model), initial, "after `constrain_` of a new model, the parameters")
    bounded = [_bounds_step(context, model, initial, step) for step in (_STEP, -_STEP)]
    return any(bounded)


def _bounds_step(context: CheckContext, model: RecurrentModel, initial: dict[str, Tensor], step: float) -> bool:
    moved = {name: each + step for name, each in initial.items()}
    _load(model, moved)
    changed = {name: each[each != moved[name]] for name, each in _constrained(context, model).items()}
    for name, values in changed.items():
        largest = float(values.abs().max()) if len(values) else 0.0
        context.assert_true(
            largest <= _BOUNDED * abs(step),
            f"after a step of {step:g}, `constrain_` changes {name}, but leaves {largest:.6g} in it",
        )
    return any(len(values) for values in changed.values())


def _constrained(context: CheckContext, model: nn.Module) -> dict[str, Tensor]:
    """The parameters after `constrain_`, whose second call has no effect."""
    constrain_(model)
    once = _values(model)
    constrain_(model)
    context.assert_close(_values(model), once, "after a second `constrain_`, the parameters")
    return once


def _values(model: nn.Module) -> dict[str, Tensor]:
    return {name: each.detach().clone() for name, each in model.named_parameters()}


@torch.no_grad()
def _load(model: nn.Module, values: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(values[name])
