"""The defaults, settings and random number generators of the process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch

from rnnkit import build_model
from rnnkit._messages import join_names
from rnnkit.testing._check import check
from rnnkit.testing._context import Case, CheckContext, new_lengths, total, trainable, with_gradients
from rnnkit.testing._process_settings import changed_settings, kept_settings, read_settings, write_settings
from rnnkit.testing._seeding import seed_generators

_DEFAULTS = (torch.float32, torch.float64)
# A setting that is written with the value that it has already is not seen, so that both are tried.
_SETTINGS: tuple[Mapping[str, Any], ...] = (
    {
        "default dtype": torch.float32,
        "gradient mode": True,
        "precision of float32 products": "highest",
        "use of deterministic algorithms": False,  # setting it to True imports TorchInductor, which takes seconds
        "use of oneDNN": True,
    },
    {
        "default dtype": torch.float64,
        "gradient mode": False,
        "precision of float32 products": "high",
        "use of oneDNN": False,
    },
)


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
    seed_generators(7)
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
    """Building and calling a model leave the global settings of torch, NumPy and Python as they are.

    A setting such as the number of threads, an environment variable or a warning filter is set and not restored.
    """
    initial = read_settings()
    for case in context.cases(context.kind.variants):
        for settings in _SETTINGS:
            with kept_settings():
                write_settings({**initial, **settings})  # the validation of the spec may have built a cell
                _assert_settings_kept(context, partial(build_model, case.spec), "building the model")
                for what, call in _calls(case):
                    _assert_settings_kept(context, call, what)


def _calls(case: Case) -> Iterator[tuple[str, Callable[[], Any]]]:
    with kept_settings():
        model = build_model(case.spec)
    x = case.input(dtype=model.backbone.dtype)
    yield "a call", lambda: model.eval()(x, lengths=new_lengths())
    yield "a call of one step", lambda: model.eval()(x.narrow(case.time_axis, 0, 1))
    yield "a call in training mode", lambda: model.train()(x)
    if torch.is_grad_enabled() and trainable(model):
        yield "a backward pass", lambda: total(model.train()(x)).backward()


def _assert_settings_kept(context: CheckContext, action: Callable[[], Any], what: str) -> None:
    with kept_settings():
        action()  # the first call may import modules, which may set something
    with kept_settings():
        before = read_settings()
        action()
        changed = changed_settings(before)
    context.assert_true(not changed, f"{what} changes the {join_names(changed, ' and the ')}")
