"""PyTorch's function transforms and autocast."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.gradcheck import gradgradcheck
from torch.func import functional_call, grad, jvp, vmap

from rnnkit import RecurrentModel, detach_state, map_state
from rnnkit._messages import describe_exception
from rnnkit.testing._check import CheckFailedError, check
from rnnkit.testing._comparison import leaves
from rnnkit.testing._context import DIRECTIONS, Case, CheckContext, derivatives, gradients, new_lengths, total
from rnnkit.testing.checks.gradients import gradcheck_error

_AUTOCAST_DTYPES = (torch.bfloat16, torch.float16)
_AUTOCAST_TOLERANCE = 0.05


@check("systems")
def vmap_equals_loop(context: CheckContext) -> None:
    """`torch.func.vmap` over the batch, with and without lengths, equals a loop over the sequences.

    A random value or a statistic of the batch is computed for each sequence, or the batch size is cached.
    """
    for case in context.cases(DIRECTIONS, batch_first=True):
        function = _sequence_function(case.model())
        for inputs in _vmap_inputs(case):
            with _optional_transform(context, "torch.func.vmap"):
                actual = vmap(function)(*inputs)
            expected = torch.stack([function(*each) for each in zip(*inputs, strict=True)])
            context.assert_close(actual, expected, "under vmap, the output")


@check("systems")
def per_sample_gradients(context: CheckContext) -> None:
    """`vmap` of `grad` gives the gradients that `backward` gives for each sequence.

    A weight is not read from the parameters of the module, which `functional_call` replaces.
    """
    for case in context.cases(DIRECTIONS, batch_first=True):
        model = case.model()
        parameters = {name: each.detach() for name, each in model.named_parameters() if each.requires_grad}
        for inputs in _vmap_inputs(case):
            with _optional_transform(context, "torch.func.vmap of torch.func.grad"):
                actual = vmap(grad(_sequence_loss(model)), in_dims=(None, *[0] * len(inputs)))(parameters, *inputs)
            losses = [_sequence_function(model)(*each).square().sum() for each in zip(*inputs, strict=True)]
            by_sequence = [gradients(loss, model) for loss in losses]
            expected = {name: torch.stack([each[name] for each in by_sequence]) for name in parameters}
            context.assert_close(actual, expected, "the gradient of each sequence")


@check("systems")
def forward_mode_gradients(context: CheckContext) -> None:
    """Forward-mode gradients from `torch.func.jvp` equal those from `backward`.

    An operation has a wrong forward-mode formula.
    """
    for case in context.cases(DIRECTIONS, readout="all"):
        model, x = case.model(), case.input().requires_grad_()
        direction = torch.randn_like(x)
        for lengths in (None, new_lengths()):
            with _optional_transform(context, "torch.func.jvp"):
                tangents = jvp(_input_function(model, lengths), (x.detach(),), (direction,))[1]
            (gradient,) = derivatives(total(_input_function(model, lengths)(x)), x)
            context.assert_close(total(tangents), (gradient * direction).sum(), "the directional derivative")


@check("systems")
def double_backward(context: CheckContext) -> None:
    """The gradients can be differentiated again: `gradgradcheck` passes, and float32 is close to float64.

    A custom backward pass uses tensors that are detached from the graph.
    """
    for case in context.cases(DIRECTIONS, readout="all"):
        with _optional_transform(context, "double backward"):
            _penalty_gradients(case.model(), case.input())
        error = _gradgradcheck_error(case)
        context.assert_true(not error, error)
        narrow = _penalty_gradients(case.model(dtype=torch.float32), case.input(dtype=torch.float32))
        wide = _penalty_gradients(case.model(dtype=torch.float32).double(), case.input())
        expected = {name: each.float() for name, each in wide.items()}
        what = "in float32, the second derivative by"
        context.assert_close(narrow, expected, what, relative=1e-3, absolute=1e-4 * _largest(expected))


@check("systems")
def autocast_is_close(context: CheckContext) -> None:
    """Under autocast to bfloat16 and float16, results are close to float32, and gradients are float32 and finite.

    A constant or a state has a dtype that does not match, or a sum is not computed in float32.
    """
    for case in context.cases(DIRECTIONS):
        model, x = case.model(dtype=torch.float32), case.input(dtype=torch.float32)
        for lengths in (None, new_lengths()):
            exact = _two_calls(model, x, lengths)
            for dtype in _AUTOCAST_DTYPES:
                _check_autocast(context, model, (x, lengths), exact, dtype)


def _check_autocast(
    context: CheckContext,
    model: RecurrentModel,
    arguments: tuple[Tensor, Tensor | None],
    exact: Any,
    dtype: torch.dtype,
) -> None:
    model.zero_grad()
    with _fail_unless_not_implemented(context, f"under torch.autocast to {dtype}"):
        with torch.autocast("cpu", dtype=dtype):
            actual = _two_calls(model, *arguments)
        total(actual).backward()
    what = f"under autocast to {dtype}, the outputs and states of two calls"
    absolute = _AUTOCAST_TOLERANCE * _largest(exact)
    context.assert_close(actual, exact, what, relative=_AUTOCAST_TOLERANCE, absolute=absolute)
    _check_gradients(context, model, dtype)


@contextmanager
def _fail_unless_not_implemented(context: CheckContext, doing: str) -> Iterator[None]:
    """Torch does not implement every function in narrow dtypes; every other error is the kind's."""
    try:
        yield
    except NotImplementedError as error:
        context.skip_unless(False, f"{doing}, {error}")
    except Exception as error:
        raise CheckFailedError(f"{doing}, a call raised {describe_exception(error)}") from error


def _two_calls(model: RecurrentModel, x: Tensor, lengths: Tensor | None) -> tuple[Any, Any]:
    """The results of two calls, the second from the state of the first, in float32."""
    first = model(x, lengths=lengths, return_state=True)
    second = model(x, detach_state(first[1]), lengths=lengths, return_state=True)
    results: tuple[Any, Any] = map_state(_to_float32, (first, second))
    return results


def _to_float32(part: Tensor) -> Tensor:
    return part.float() if part.is_floating_point() else part


def _check_gradients(context: CheckContext, model: RecurrentModel, dtype: torch.dtype) -> None:
    for name, parameter in model.named_parameters():
        gradient, what = parameter.grad, f"under autocast to {dtype}, the gradient of {name}"
        if gradient is not None:
            context.assert_true(gradient.dtype == torch.float32, f"{what} is {gradient.dtype}")
            context.assert_true(gradient.isfinite().all(), f"{what} is not finite")


@contextmanager
def _optional_transform(context: CheckContext, doing: str) -> Iterator[None]:
    """As `optional_feature`, without torch's warnings that a transform is slow or deprecated."""
    with warnings.catch_warnings(), context.optional_feature(doing):
        warnings.simplefilter("ignore")
        yield


def _vmap_inputs(case: Case) -> list[tuple[Tensor, ...]]:
    """Batched inputs, without and with lengths."""
    return [(case.input(),), (case.input(), new_lengths())]


def _sequence_function(model: RecurrentModel) -> Callable[..., Tensor]:
    """The model as a function of one sequence and its length."""

    def function(sequence: Tensor, length: Tensor | None = None) -> Tensor:
        output: Tensor = model(sequence[None], lengths=None if length is None else length[None])
        return output[0]

    return function


def _sequence_loss(model: RecurrentModel) -> Callable[..., Tensor]:
    """A loss as a function of the parameters, one sequence and its length."""

    def function(parameters: dict[str, Tensor], sequence: Tensor, length: Tensor | None = None) -> Tensor:
        lengths = {} if length is None else {"lengths": length[None]}
        output: Tensor = functional_call(model, parameters, (sequence[None],), lengths)
        return output.square().sum()

    return function


def _input_function(model: RecurrentModel, lengths: Tensor | None) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The output and the tensors of the state as a function of the input."""
    return lambda x: tuple(_floating(model(x, lengths=lengths, return_state=True)))


def _floating(results: Any) -> list[Tensor]:
    return [part for part in leaves(results) if part.is_floating_point()]


def _largest(results: Any) -> float:
    """The largest absolute value, or 1."""
    return max(1.0, *(float(part.detach().abs().max()) for part in _floating(results) if part.numel()))


def _penalty_gradients(model: RecurrentModel, x: Tensor) -> dict[str, Tensor]:
    """The gradients of a gradient penalty."""
    x = x.requires_grad_()
    squares = [part.square() for part in _floating(model(x, lengths=new_lengths(), return_state=True))]
    (gradient,) = torch.autograd.grad(total(squares), x, create_graph=True)
    # autograd.grad would give zeros for a function that is `once_differentiable`, where backward raises
    total(gradient.square()).backward()
    named = {"input": x, **{name: each for name, each in model.named_parameters() if each.requires_grad}}
    return {name: torch.zeros_like(each) if each.grad is None else each.grad for name, each in named.items()}


def _gradgradcheck_error(case: Case) -> str:
    model, x = case.model(), case.input(batch=2, time=3).requires_grad_()
    parameters = [each for each in model.parameters() if each.requires_grad]

    def function(x: Tensor, *_: Tensor) -> list[Tensor]:
        return _floating(model(x, lengths=torch.tensor([3, 2]), return_state=True))

    return gradcheck_error(gradgradcheck, function, [x, *parameters])
