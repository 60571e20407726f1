"""What a kind promises of training: that everything in it learns, and learns alike under the same seed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import RecurrentModel, StackOptions
from rnnkit.testing.check import check
from rnnkit.testing.check_context import DIRECTIONS, Case, CheckContext, derivatives, new_lengths
from rnnkit.testing.comparison import leaves
from rnnkit.testing.kind_under_test import Changes, KindUnderTest
from rnnkit.testing.lynx_data import Lynx, loss_of_least_squares, lynx_data

_STEPS = 4
_RATES = (0.03, 0.1, 0.01)  # of learning, until one does
_PATIENCE = 100  # steps
_OF_A_LINE = 0.9  # what no smooth curve through the last value alone comes to
_OF_ITS_OWN = 1.05  # of what the best readout of an untrained model leaves


@check("training")
def every_parameter_is_trained(context: CheckContext) -> None:
    """In a few steps of training, every parameter has a finite gradient that is not all zeros, and changes.

    It is detached on the way, not used at all, or set anew at each call; or a gradient divides by zero.
    """
    for case in context.cases(
        [*context.kind_under_test.variants, *_of_stacks(context.kind_under_test)], DIRECTIONS, readout="all"
    ):
        model = case.model(moved=False).train()
        before = _values_after_a_call(case, model)
        gradients = list(_training(case, model))
        after = _values_after_a_call(case, model)
        sizes = {name: [_size(of_step[name]) for of_step in gradients] for name in before}
        problems = [
            *(f"{name} has no gradient in {_STEPS} steps" for name, of_name in sizes.items() if not any(of_name)),
            *(f"the gradient of {name} is not finite" for name, of_name in sizes.items() if not _all_finite(of_name)),
            *(f"{name} does not change" for name in before if torch.equal(before[name], after[name])),
        ]
        context.that(not problems, "; ".join(problems))


@check("training")
def loss_decreases(context: CheckContext) -> None:
    """In a small real task, the lynx of a year from those of the years before, the loss falls as far as memory lets it.

    The state does not reach the output, is forgotten from one step to the next, or lets no gradient through.
    """
    task = lynx_data()
    for case in context.cases(context.kind_under_test.variants, bidirectional=False, readout="last", output_size=1):
        _check_memory(context, case, task)
        target = max(_OF_A_LINE * task.loss_of_a_line, _OF_ITS_OWN * _loss_of_untrained(case, task))
        losses = _best_losses(case, task, target)
        context.figures.setdefault("loss", f"{losses[0]:.2g} to {losses[-1]:.2g} in {len(losses)} steps")
        context.that(
            losses[-1] < target,
            f"in {_PATIENCE} steps the loss falls from {losses[0]:.3g} to {losses[-1]:.3g} at best, but not below "
            f"{target:.3g}, which a line through the last value, or through the untrained output, comes to",
        )
    context.figures["of a line"] = task.loss_of_a_line


def _check_memory(context: CheckContext, case: Case, task: Lynx) -> None:
    """What was read before the last step must show in the output, if there is a state for it."""
    model, x = case.model(), _input(case, task).requires_grad_()
    output, state = model(x, return_state=True)
    if any(part.is_floating_point() and part.numel() for part in leaves(state)):
        (gradient,) = derivatives(output.sum(), x)
        earlier = gradient.narrow(case.time_axis, 0, gradient.shape[case.time_axis] - 1)
        context.that(earlier.any(), "the last output depends on the last input alone, so that the state does nothing")


def _loss_of_untrained(case: Case, task: Lynx) -> float:
    """What is left by the best readout of a kind that has not learned, by which one sees what it can hold at all."""
    with torch.no_grad():
        output, _ = case.model(moved=False).backbone(_input(case, task))
    return loss_of_least_squares(output.select(case.time_axis, -1), task.next)


@check("training")
def seeded_training(context: CheckContext) -> None:
    """Training twice under one seed of torch gives the same parameters, bit for bit.

    A mask is drawn with Python's or NumPy's random numbers, or something is kept from the model that was made before.
    """
    with_dropout = [{**variant, "dropout": 0.5} for variant in context.kind_under_test.variants]
    for case in context.cases([*with_dropout, {}], readout="all"):
        first, second = _trained(case), _trained(case)
        context.equal(second, first, "after a second training under the same seed, of the parameters,")


def _of_stacks(kind_under_test: KindUnderTest) -> list[Changes]:
    """Options by which rnnkit gives a stack parameters beside those of its cells."""
    is_stack = issubclass(kind_under_test.record.options, StackOptions)
    return [{"options": {"learn_initial_state": True, "layer_norm": "output"}}] if is_stack else []


def _values(model: RecurrentModel) -> dict[str, Tensor]:
    """What is learned, as it is now."""
    return {name: each.detach().clone() for name, each in model.named_parameters() if each.requires_grad}


def _values_after_a_call(case: Case, model: RecurrentModel) -> dict[str, Tensor]:
    """The same once a call has done to them whatever it does."""
    model(case.input())
    return _values(model)


def _training(case: Case, model: RecurrentModel) -> Iterator[dict[str, Tensor | None]]:
    """Train a few steps; the gradients at each."""
    x = case.input()
    goal = torch.randn_like(model(x))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        F.mse_loss(model(x, lengths=new_lengths()), goal).backward()
        yield {name: each.grad for name, each in model.named_parameters()}
        optimizer.step()


def _size(gradient: Tensor | None) -> float:
    return 0.0 if gradient is None else float(gradient.abs().sum())


def _all_finite(sizes: list[float]) -> bool:
    return all(map(math.isfinite, sizes))


def _trained(case: Case) -> dict[str, Tensor]:
    """The parameters after a few steps."""
    model = case.model(moved=False).train()
    for _ in _training(case, model):
        pass
    return _values(model)


def _best_losses(case: Case, task: Lynx, target: float) -> list[float]:
    """The losses with the learning rate that comes to the target, or closest to it."""
    runs: list[list[float]] = []
    for rate in _RATES:
        runs.append(_losses(case, task, rate, target))
        if runs[-1][-1] < target:
            return runs[-1]
    return min(runs, key=lambda losses: losses[-1] if math.isfinite(losses[-1]) else math.inf)


def _losses(case: Case, task: Lynx, rate: float, target: float) -> list[float]:
    """The loss before each step of training, until it is below a target."""
    model = case.model(moved=False).train()
    x, optimizer = _input(case, task), torch.optim.Adam(model.parameters(), lr=rate)
    losses: list[float] = []
    for _ in range(_PATIENCE):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), task.next)
        losses.append(loss.item())
        if losses[-1] < target:
            break
        loss.backward()
        optimizer.step()
    return losses


def _input(case: Case, task: Lynx) -> Tensor:
    """The same number in all features."""
    x = task.past.repeat(1, 1, case.spec.input_size)
    return x if case.spec.batch_first else x.transpose(0, 1)
