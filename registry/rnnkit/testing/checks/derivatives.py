"""What a kind promises of its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradcheck

from rnnkit import RecurrentModel, map_state
from rnnkit.testing.check import check
from rnnkit.testing.check_context import CheckContext, random_state
from rnnkit.testing.comparison import leaves

_LENGTHS = (3, 0, 2)


@check("numerics")
def gradients_pass_gradcheck(context: CheckContext) -> None:
    """The gradients by input, state and parameters are the derivatives, as small differences show them.

    A tensor is detached on the way, or a backward pass that was written by hand is wrong.
    """
    changes = {
        "bidirectional": context.kind_under_test.takes(bidirectional=True),
        "readout": "all",
        "output_size": None,
    }
    if context.kind_under_test.is_stack:  # all layers are of the same cells
        changes |= context.kind_under_test.one_layer
    for case in context.cases(context.kind_under_test.variants, **changes):
        model, x = case.model(), case.input(batch=len(_LENGTHS), time=3)
        for plain in context.kind_under_test.step_loop_choices:
            model.backbone.force_step_loop = plain
            wrong = _difference(*_as_function(model, x))
            context.that(not wrong, f"with force_step_loop={plain}, {wrong}" if plain else wrong)


def _as_function(model: RecurrentModel, x: Tensor) -> tuple[Callable[..., Any], list[Tensor]]:
    """A model as a function of its input, its state and its parameters, and values for them."""
    state = random_state(model, len(x))
    floating = [part for part in leaves(state) if part.is_floating_point()]

    def function(x: Tensor, *others: Tensor) -> list[Tensor]:
        given = iter(others)
        start = map_state(lambda part: next(given) if part.is_floating_point() else part, state)
        results = leaves(model(x, start, lengths=torch.tensor(_LENGTHS), return_state=True))
        return [part for part in results if part.is_floating_point()]

    values = [each.requires_grad_() for each in (x, *floating)]
    return function, [*values, *(each for each in model.parameters() if each.requires_grad)]


def _difference(function: Callable[..., Any], values: list[Tensor]) -> str:
    """How the gradients differ from the derivatives; empty: they do not."""
    try:
        gradcheck(function, values, fast_mode=True)
    except GradcheckError as error:
        return " ".join(str(error).partition("The above quantities")[0].split())  # without whole matrices
    return ""
