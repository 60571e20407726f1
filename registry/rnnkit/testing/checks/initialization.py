"""Initialization after `to_empty`."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit import RecurrentModel, build_model
from rnnkit.testing._check import check
from rnnkit.testing._context import Case, CheckContext
from rnnkit.testing._seeding import seed_generators


@check("systems")
def reset_parameters_equals_new_model(context: CheckContext) -> None:
    """`reset_parameters` of all modules, after `to_empty` or in training, gives a model the values of a new one.

    A value is neither a parameter nor a buffer, or the constructor caches tensors, which then have the values of an
    earlier model.
    """
    for case in context.cases([*context.kind.variants, *context.kind.stack_options]):
        expected = copy.deepcopy(_new_model(case))  # a copy, which shares no memory with caches of the kind
        emptied = build_model(case.spec, device="meta", dtype=torch.float64).to_empty(device="cpu")
        _check_reset(context, case, emptied, _parents_first, expected)
        _check_reset(context, case, _new_model(case), _children_first, expected)


def _check_reset(
    context: CheckContext, case: Case, model: RecurrentModel, order: Any, expected: RecurrentModel
) -> None:
    _fill(model)
    for module in order(model):
        if hasattr(module, "reset_parameters"):
            seed_generators(1)  # as for the model, so that each module draws the values of the same model
            module.reset_parameters()
    what = f"after reset_parameters of all modules, {order.__name__.strip('_').replace('_', ' ')},"
    context.assert_equal(_tensors(model), _tensors(expected), f"{what} the parameters and buffers")
    context.assert_equal(_results(model.eval(), case), _results(expected, case), f"{what} the output and state")


def _new_model(case: Case) -> RecurrentModel:
    seed_generators(1)
    return build_model(case.spec, device=torch.device("cpu"), dtype=torch.float64).eval()


@torch.no_grad()
def _fill(model: RecurrentModel) -> None:
    """Overwrite all values: memory that `to_empty` allocates may hold anything."""
    for each in _tensors(model).values():
        each.fill_(torch.nan if each.is_floating_point() else 1)


def _parents_first(model: RecurrentModel) -> Iterable[Any]:
    return model.modules()


def _children_first(model: RecurrentModel) -> Iterable[Any]:
    modules: list[nn.Module] = []
    model.apply(modules.append)
    return modules


def _tensors(model: RecurrentModel) -> dict[str, Tensor]:
    parameters = model.named_parameters(remove_duplicate=False)
    return dict([*parameters, *model.named_buffers(remove_duplicate=False)])


def _results(model: RecurrentModel, case: Case) -> Any:
    return model(case.input(), return_state=True)
