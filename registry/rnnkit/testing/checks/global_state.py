"""The defaults, settings and random number generators of the process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from rnnkit import build_model
from rnnkit.testing._check import check
from rnnkit.testing._context import Case, CheckContext, with_gradients

_DEFAULTS = (torch.float32, torch.float64)
# Each is read and set by these functions, and has this value in the check. The number of threads is not set, because
# new threads would slow down all later calls of the process.
_SETTINGS: Mapping[str, tuple[Callable[[], Any], Callable[[Any], Any], Any]] = {
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    "use of deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
        False,
    ),
    "precision of float32 products": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
        "highest",
    ),
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled, True),
}


@check("numerics")
def default_dtype_has_no_effect(context: CheckContext) -> None:
    """A model that is built with an explicit dtype does not depend on torch's default dtype.

    A constant or a random tensor is created without `dtype=`, so that it has the default dtype.
    """
    for dtype in _DEFAULTS:
        for case in context.cases(context.kind.variants):
            (weights, expected), (others, actual) = (_results(case, dtype, default) for default in _DEFAULTS)
            what = "with the default dtype torch.float64, "
            context.assert_equal(others, weights, f"{what}in the initial weights,")
            context.assert_each_close(actual, expected, what, relative=1e-12, absolute=1e-14)


def _results(case: Case, dtype: torch.dtype, default: torch.dtype) -> tuple[Any, dict[str, Any]]:
    """The initial weights and the results of a model of a dtype, while torch's default dtype is another."""
    with _default_dtype(default):
        model = case.model(dtype=dtype, perturb=False)
        return model.state_dict(), with_gradients(model.backbone, *model.backbone(case.input(dtype=dtype)))


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@check("numerics")
def random_generators_are_not_reset(context: CheckContext) -> None:
    """Building and calling a model do not reset the random number generators of torch, NumPy and Python.

    The constructor or the step sets a seed, so that models, batches or masks that should differ are the same.
    """
    for case in context.cases(context.kind.variants):
        build = lambda case=case: build_model(case.spec, dtype=torch.float64)  # noqa: E731
        _assert_not_reset(context, build, "building the model")
        for training in (False, True):
            model, x = case.model().train(training), case.input()
            call = lambda model=model, x=x: model(x)  # noqa: E731
            _assert_not_reset(context, call, f"a call in {'training' if training else 'evaluation'} mode")


def _assert_not_reset(context: CheckContext, action: Callable[[], Any], what: str) -> None:
    """From two states of a generator, an action must lead to two states, and from the same state to the same."""
    first, again, other = (_states_after(action, drawn) for drawn in (0, 0, 1000))
    for name in first:
        reset = first[name] == other[name] or first[name] != again[name]
        context.assert_true(not reset, f"{what} resets {name} random number generator")


def _states_after(action: Callable[[], Any], drawn: int) -> dict[str, Any]:
    """The states of the generators after an action that starts after some random numbers."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002  # a kind may use the global generator
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002  # the same
    torch.rand(drawn)
    np.random.rand(drawn)  # noqa: NPY002  # the same
    for _ in range(drawn):
        random.random()  # noqa: S311  # not for cryptography
    try:
        action()
        return {
            "torch's": (torch.initial_seed(), torch.get_rng_state().numpy().tobytes()),
            "NumPy's": str(np.random.get_state(legacy=False)),  # noqa: NPY002  # the same
            "Python's": random.getstate(),
        }
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002  # the same


@check("numerics")
def global_settings_are_kept(context: CheckContext) -> None:
    """Building and calling a model leave torch's global settings as they are.

    A setting such as the number of threads or the default dtype is set and not restored.
    """
    with _usual_settings():
        threads = torch.get_num_threads()
        for case in context.cases(context.kind.variants):
            model = build_model(case.spec)
            _assert_kept(context, "building the model", threads)
            model(case.input(dtype=model.backbone.dtype))
            _assert_kept(context, "a call", threads)


@contextmanager
def _usual_settings() -> Iterator[None]:
    before = {name: read() for name, (read, _, _) in _SETTINGS.items()}
    try:
        for read, write, usual in _SETTINGS.values():
            _write(read, write, usual)
        yield
    finally:
        for name, (read, write, _) in _SETTINGS.items():
            _write(read, write, before[name])


def _write(read: Callable[[], Any], write: Callable[[Any], Any], value: Any) -> None:
    if read() != value:  # setting the use of deterministic algorithms imports TorchInductor, which takes seconds
        write(value)


def _assert_kept(context: CheckContext, what: str, threads: int) -> None:
    changed = [name for name, (read, _, usual) in _SETTINGS.items() if read() != usual]
    changed += ["number of threads"] * (torch.get_num_threads() != threads)
    context.assert_true(not changed, f"{what} changes the {' and the '.join(changed)}")
