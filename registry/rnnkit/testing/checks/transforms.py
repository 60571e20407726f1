"""What a kind can do with the transforms of PyTorch, each compared with a plain way to the same numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradgradcheck
from torch.func import functional_call, grad, jvp, vmap

from rnnkit import RecurrentModel, detach_state, map_state
from rnnkit.testing.check import check
from rnnkit.testing.check_context import DIRECTIONS, Case, CheckContext, derivatives, gradients, new_lengths, total
from rnnkit.testing.comparison import leaves

_NARROW = 0.05  # how far bfloat16 may be off, which has three digits


@check("systems")
def vmap_equals_loop(context: CheckContext) -> None:
    """`torch.func.vmap` over the rows of a batch, with lengths and without, gives what a loop over them gives.

    What is random or of the whole batch is taken for each row, or the number of rows is kept from the first call.
    """
    for case in context.cases(DIRECTIONS, batch_first=True):
        function = _of_row(case.model())
        for rows in _rows(case):
            with _capability(context, "torch.func.vmap"):
                at_once = vmap(function)(*rows)
            one_by_one = torch.stack([function(*row) for row in zip(*rows, strict=True)])
            context.same(at_once, one_by_one, "under vmap the output")


@check("systems")
def per_sample_gradients(context: CheckContext) -> None:
    """`vmap` of `grad` gives for each row the gradients that `backward` gives row by row.

    A weight is read from elsewhere than the parameters of the module, where `functional_call` puts others.
    """
    for case in context.cases(DIRECTIONS, batch_first=True):
        model = case.model()
        parameters = {name: each.detach() for name, each in model.named_parameters() if each.requires_grad}
        for rows in _rows(case):
            with _capability(context, "torch.func.vmap of torch.func.grad"):
                at_once = vmap(grad(_loss_of_row(model)), in_dims=(None, *[0] * len(rows)))(parameters, *rows)
            one_by_one = [gradients(_of_row(model)(*row).square().sum(), model) for row in zip(*rows, strict=True)]
            expected = {name: torch.stack([each[name] for each in one_by_one]) for name in parameters}
            context.same(at_once, expected, "of each row the gradient")


@check("systems")
def forward_mode_gradients(context: CheckContext) -> None:
    """Forward-mode differentiation by `torch.func.jvp` agrees with the gradients.

    An operation has a forward-mode formula of its own, which is wrong.
    """
    for case in context.cases(DIRECTIONS, readout="all"):
        model, x = case.model(), case.input().requires_grad_()
        direction = torch.randn_like(x)
        for lengths in (None, new_lengths()):
            with _capability(context, "torch.func.jvp"):
                tangents = jvp(_of_input(model, lengths), (x.detach(),), (direction,))[1]
            (gradient,) = derivatives(total(_of_input(model, lengths)(x)), x)
            context.same(total(tangents), (gradient * direction).sum(), "the derivative in one direction")


@check("systems")
def double_backward(context: CheckContext) -> None:
    """The gradients can be differentiated again, and give the second derivatives; in float32 about those of float64.

    A backward pass that was written by hand uses tensors without their history.
    """
    for case in context.cases(DIRECTIONS, readout="all"):
        with _capability(context, "a second derivative"):
            _penalty_gradients(case.model(), case.input())
        wrong = _wrong_second_derivative(case)
        context.that(not wrong, wrong)
        narrow = _penalty_gradients(case.model(dtype=torch.float32), case.input(dtype=torch.float32))
        wide = _penalty_gradients(case.model(dtype=torch.float32).double(), case.input())
        expected = {name: each.float() for name, each in wide.items()}
        what = "in float32 the second derivative by"
        context.same(narrow, expected, what, relative=1e-3, absolute=1e-4 * _largest(expected))


@check("systems")
def autocast_is_close(context: CheckContext) -> None:
    """Under autocast to bfloat16 outputs and states are near those in float32, and gradients are float32 and finite.

    A constant or a state is made in another dtype than what it meets, or something is not computed in a wider one.
    """
    for case in context.cases(DIRECTIONS):
        model, x = case.model(dtype=torch.float32), case.input(dtype=torch.float32)
        for lengths in (None, new_lengths()):
            exact = _two_calls(model, x, lengths)
            with _capability(context, "torch.autocast"):
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    near = _two_calls(model, x, lengths)
                total(near).backward()
            what = "under autocast, of two calls, the output and state"
            context.same(near, exact, what, relative=_NARROW, absolute=_NARROW * _largest(exact))
            _check_gradients(context, model)


def _two_calls(model: RecurrentModel, x: Tensor, lengths: Tensor | None) -> tuple[Any, Any]:
    """What two calls give, the second from the state of the first, in float32."""
    first = model(x, lengths=lengths, return_state=True)
    second = model(x, detach_state(first[1]), lengths=lengths, return_state=True)
    results: tuple[Any, Any] = map_state(_wide, (first, second))
    return results


def _wide(part: Tensor) -> Tensor:
    return part.float() if part.is_floating_point() else part


def _check_gradients(context: CheckContext, model: RecurrentModel) -> None:
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if gradient is not None:
            context.that(gradient.dtype == torch.float32, f"under autocast the gradient of {name} is {gradient.dtype}")
            context.that(gradient.isfinite().all(), f"under autocast the gradient of {name} is not finite")


@contextmanager
def _capability(context: CheckContext, doing: str) -> Iterator[None]:
    """A capability, of which torch may warn: that it is slow, or that its own rules use what is deprecated."""
    with warnings.catch_warnings(), context.capability(doing):
        warnings.simplefilter("ignore")
        yield


def _rows(case: Case) -> list[tuple[Tensor, ...]]:
    """What is mapped over, without lengths and with them."""
    return [(case.input(),), (case.input(), new_lengths())]


def _of_row(model: RecurrentModel) -> Callable[..., Tensor]:
    """A model as a function of one row, and of its length."""

    def function(row: Tensor, length: Tensor | None = None) -> Tensor:
        output: Tensor = model(row[None], lengths=None if length is None else length[None])
        return output[0]

    return function


def _loss_of_row(model: RecurrentModel) -> Callable[..., Tensor]:
    """A number of one row, as a function of the parameters too."""

    def function(parameters: dict[str, Tensor], row: Tensor, length: Tensor | None = None) -> Tensor:
        lengths = {} if length is None else {"lengths": length[None]}
        output: Tensor = functional_call(model, parameters, (row[None],), lengths)
        return output.square().sum()

    return function


def _of_input(model: RecurrentModel, lengths: Tensor | None) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The output and the parts of the state as a function of the input."""
    return lambda x: tuple(_floating(model(x, lengths=lengths, return_state=True)))


def _floating(results: Any) -> list[Tensor]:
    return [part for part in leaves(results) if part.is_floating_point()]


def _largest(results: Any) -> float:
    """The largest absolute value, or 1."""
    return max(1.0, *(float(part.detach().abs().max()) for part in _floating(results) if part.numel()))


def _penalty_gradients(model: RecurrentModel, x: Tensor) -> dict[str, Tensor]:
    """The gradients of a function of gradients, such as a penalty on them."""
    x = x.requires_grad_()
    squares = [part.square() for part in _floating(model(x, lengths=new_lengths(), return_state=True))]
    (gradient,) = torch.autograd.grad(total(squares), x, create_graph=True)
    # not by autograd.grad, which gives zeros where `once_differentiable` says that this is not possible
    total(gradient.square()).backward()
    named = {"input": x, **{name: each for name, each in model.named_parameters() if each.requires_grad}}
    return {name: torch.zeros_like(each) if each.grad is None else each.grad for name, each in named.items()}


def _wrong_second_derivative(case: Case) -> str:
    """How second derivatives differ from what small differences of gradients show; empty: they do not."""
    model, x = case.model(), case.input(batch=2, time=3).requires_grad_()
    parameters = [each for each in model.parameters() if each.requires_grad]

    def function(x: Tensor, *_: Tensor) -> list[Tensor]:
        return _floating(model(x, lengths=torch.tensor([3, 2]), return_state=True))

    try:
        gradgradcheck(function, [x, *parameters], fast_mode=True)
    except GradcheckError as error:
        return " ".join(str(error).partition("The above quantities")[0].split())  # before whole matrices
    return ""
