"""Training."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import RecurrentModel
from rnnkit._messages import join_names
from rnnkit.testing._check import check
from rnnkit.testing._comparison import floating_leaves
from rnnkit.testing._context import DIRECTIONS, Case, CheckContext, derivatives, new_lengths, trainable
from rnnkit.testing._lynx_data import Lynx, least_squares_loss, lynx_data

_STEPS = 4
_LEARNING_RATES = (0.03, 0.1, 0.01)  # tried in turn
_MAX_STEPS = 100
_FITTED_STEPS = 30
_BASELINE_FACTOR = 0.9  # a function of the last value alone does not reach this
_LEARNING_FACTOR = 0.95  # relative to the untrained model, with a fitted readout
_UNTRAINED_FACTOR = 1.05  # relative to the best readout of the untrained model


@check("training")
def every_parameter_is_trained(context: CheckContext) -> None:
    """In a few training steps, every parameter gets a finite, nonzero gradient and changes.

    A parameter is detached, unused or overwritten at each call, or a gradient divides by zero.
    """
    learned = {"options": {"learn_initial_state": True, "layer_norm": "output"}}
    variants = [*context.kind.variants, *[learned] * bool(context.kind.stack_options)]
    for case in context.cases(variants, DIRECTIONS, readout="all"):
        model = case.model(perturb=False).train()
        before = _parameters_after_call(case, model)
        steps = list(_train(case, model))
        after = _parameters_after_call(case, model)
        sizes = {name: torch.tensor([step[name] for step in steps]) for name in before}
        problems = [
            *(f"{name} has no gradient in {_STEPS} steps" for name, each in sizes.items() if not each.any()),
            *(f"the gradient of {name} is not finite" for name, each in sizes.items() if not each.isfinite().all()),
            *(f"{name} does not change" for name in before if torch.equal(before[name], after[name])),
        ]
        context.assert_true(not problems, join_names(problems, "; "))


@check("training")
def loss_decreases(context: CheckContext) -> None:
    """Training on a small forecasting task beats a linear function of the last value.

    The state does not affect the output, is lost from one step to the next, or blocks the gradient.
    """
    task = lynx_data()
    for case in context.cases(context.kind.variants, bidirectional=False, readout="last", output_size=1):
        _check_memory(context, case, task)
        target = max(_BASELINE_FACTOR * task.linear_baseline, _UNTRAINED_FACTOR * _untrained_loss(case, task))
        losses = _best_losses(case, task, target)
        context.figures.setdefault("loss", f"{losses[0]:.2g} to {losses[-1]:.2g} in {len(losses)} steps")
        best = f"in {_MAX_STEPS} steps the loss decreases from {losses[0]:.3g} to {losses[-1]:.3g} at best"
        reached = f"{target:.3g}, which a linear function of the last value, or of the untrained output, reaches"
        learns = losses[-1] < target or _learns_with_fitted_readout(context, case, task)
        context.assert_true(learns, f"{best}, but not below {reached}")
    context.figures["baseline"] = task.linear_baseline


def _learns_with_fitted_readout(context: CheckContext, case: Case, task: Lynx) -> bool:
    """Whether the output predicts better than the last value does, with the best readout before each training step.

    Finds slow learners healthy: a small step size makes their output small, or only their readout is trained.
    """
    losses = _fitted_losses(case, task)
    context.figures["loss with a fitted readout"] = f"{losses[0]:.2g} to {losses[-1]:.2g} in {len(losses)} steps"
    is_trained = any(parameter.requires_grad for parameter in case.model().backbone.parameters())
    learns = losses[-1] < _LEARNING_FACTOR * losses[0] if is_trained else True
    return learns and losses[-1] < _BASELINE_FACTOR * task.linear_baseline


def _fitted_losses(case: Case, task: Lynx) -> list[float]:
    """The loss of the best readout before each training step of the backbone."""
    model, x = case.model(perturb=False).train(), _input(case, task)
    optimizer = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATES[0])
    losses: list[float] = []
    for _ in range(_FITTED_STEPS):
        loss = least_squares_loss(model.backbone(x)[0].select(case.time_axis, -1), task.next)
        losses.append(loss.item())
        if not loss.requires_grad:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def _check_memory(context: CheckContext, case: Case, task: Lynx) -> None:
    model, x = case.model(), _input(case, task).requires_grad_()
    output, state = model(x, return_state=True)
    if any(part.numel() for part in floating_leaves(state)):
        (gradient,) = derivatives(output.sum(), x)
        earlier = gradient.narrow(case.time_axis, 0, gradient.shape[case.time_axis] - 1)
        context.assert_true(earlier.any(), "the last output depends on the last input only: the state has no effect")


def _untrained_loss(case: Case, task: Lynx) -> float:
    """The loss of the best readout of the untrained model: a bound for kinds that can hold little."""
    with torch.no_grad():
        output, _ = case.model(perturb=False).backbone(_input(case, task))
    return least_squares_loss(output.select(case.time_axis, -1), task.next).item()


@check("training")
def seeded_training(context: CheckContext) -> None:
    """Training twice with the same seed gives identical parameters.

    A mask is drawn with Python's or NumPy's random numbers, or state is shared with an earlier model.
    """
    with_dropout = [{**variant, "dropout": 0.5} for variant in context.kind.variants]
    for case in context.cases([*with_dropout, {}], readout="all"):
        first, second = _trained(case), _trained(case)
        context.assert_equal(second, first, "after a second training with the same seed, in the parameters,")


def _parameters(model: RecurrentModel) -> dict[str, Tensor]:
    return {name: each.detach().clone() for name, each in trainable(model).items()}


def _parameters_after_call(case: Case, model: RecurrentModel) -> dict[str, Tensor]:
    """The parameters after a call, which may overwrite them."""
    model(case.input())
    return _parameters(model)


def _train(case: Case, model: RecurrentModel) -> Iterator[dict[str, float]]:
    """Train a few steps, and yield the sizes of the gradients of each."""
    x = case.input()
    goal = torch.randn_like(model(x))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        F.mse_loss(model(x, lengths=new_lengths()), goal).backward()
        given = {name: each.grad for name, each in trainable(model).items()}
        yield {name: 0.0 if each is None else float(each.abs().sum()) for name, each in given.items()}
        optimizer.step()


def _trained(case: Case) -> dict[str, Tensor]:
    model = case.model(perturb=False).train()
    list(_train(case, model))
    return _parameters(model)


def _best_losses(case: Case, task: Lynx, target: float) -> list[float]:
    """The losses with the first learning rate that reaches the target, or the one that comes closest."""
    runs: list[list[float]] = []
    for rate in _LEARNING_RATES:
        runs.append(_losses(case, task, rate, target))
        if runs[-1][-1] < target:
            return runs[-1]
    return min(runs, key=lambda losses: losses[-1] if math.isfinite(losses[-1]) else math.inf)


def _losses(case: Case, task: Lynx, rate: float, target: float) -> list[float]:
    """The loss before each training step, until it is below the target."""
    model = case.model(perturb=False).train()
    x, optimizer = _input(case, task), torch.optim.Adam(model.parameters(), lr=rate)
    losses: list[float] = []
    for _ in range(_MAX_STEPS):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), task.next)
        losses.append(loss.item())
        if losses[-1] < target:
            break
        loss.backward()
        optimizer.step()
    return losses


def _input(case: Case, task: Lynx) -> Tensor:
    """The series, repeated in all features."""
    x = task.past.repeat(1, 1, case.spec.input_size)
    return x if case.spec.batch_first else x.transpose(0, 1)
