"""Gradients, compared with finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradcheck

from rnnkit import RecurrentModel, map_state
from rnnkit.testing._check import check
from rnnkit.testing._comparison import floating_leaves
from rnnkit.testing._context import CheckContext, random_state, trainable

_LENGTHS = (3, 0, 2)


@check("numerics")
def gradients_pass_gradcheck(context: CheckContext) -> None:
    """`torch.autograd.gradcheck` confirms the gradients with respect to input, state and parameters.

    A tensor is detached, or a custom backward pass is wrong.
    """
    changes = {"bidirectional": context.kind.accepts(bidirectional=True), "readout": "all", "output_size": None}
    if context.kind.is_stack:  # all layers have the same cells, so one is enough
        changes |= context.kind.one_layer
    for case in context.cases(context.kind.variants, **changes):
        model, x = case.model(), case.input(batch=len(_LENGTHS), time=3)
        for force in context.kind.force_step_loop_values:
            model.backbone.force_step_loop = force
            error = gradcheck_error(gradcheck, *_as_function(model, x))
            context.assert_true(not error, f"with force_step_loop={force}, {error}" if force else error)


def _as_function(model: RecurrentModel, x: Tensor) -> tuple[Callable[..., Any], list[Tensor]]:
    """The model as a function of input, state and parameters, and values for them."""
    state = random_state(model, len(x))

    def function(x: Tensor, *others: Tensor) -> list[Tensor]:
        given = iter(others)
        start = map_state(lambda part: next(given) if part.is_floating_point() else part, state)
        return floating_leaves(model(x, start, lengths=torch.tensor(_LENGTHS), return_state=True))

    values = [each.requires_grad_() for each in (x, *floating_leaves(state))]
    return function, [*values, *trainable(model).values()]


def gradcheck_error(check: Callable[..., Any], function: Callable[..., Any], values: list[Tensor]) -> str:
    """The message of `gradcheck` or `gradgradcheck`; empty if it passes."""
    try:
        check(function, values, fast_mode=True)
    except GradcheckError as error:
        return " ".join(str(error).partition("The above quantities")[0].split())  # whole matrices follow
    return ""
