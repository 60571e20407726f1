"""Choose the executor of a cell: the first installed one that can run its plan, if anything may replace the steps."""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit._messages import join_quoted
from rnnkit.catalog import current_catalog
from rnnkit.errors import PluginError
from rnnkit.model import autocast_is_on, transforms_are_active
from rnnkit.plan import Executor, Plan, Refusal, Regularization, flatten, plan_for

VARIABLE = "RNNKIT_EXECUTORS"
"""The environment variable with the names of the executors to use, in order, separated by commas; empty: none."""


class Choice(NamedTuple):
    """An executor, and the plan that it runs."""

    executor: Executor
    plan: Plan


def choose(cell: Any, projected: Any, state: Any, regularization: Regularization | None = None) -> Choice | Refusal:
    """Return the executor that is equal to the steps of a cell, or the reason why there is none.

    Args:
        cell: the cell.
        projected: the projected input: `(time, batch, ...)`, or nested tuples of such tensors.
        state: the state before the first step.
        regularization: what changes the steps of the cell; None: nothing.

    Raises:
        PluginError: the environment variable `RNNKIT_EXECUTORS` names an executor that cannot be used.
    """
    executors = installed_executors()
    if not executors:
        return Refusal("no executor is installed")
    tensors = (*flatten(projected), *state)
    reason = _mode(tensors[0].device.type) or _unusual_tensor(tensors)
    if reason is not None:
        return Refusal(reason)
    plan = plan_for(cell, regularization)
    return plan if isinstance(plan, Refusal) else _first(executors, plan, tensors[0])


def _first(executors: tuple[Executor, ...], plan: Plan, like: Tensor) -> Choice | Refusal:
    reasons = []
    for executor in executors:
        reason = executor.refuses(plan, like.dtype, like.device)
        if reason is None:
            return Choice(executor, plan)
        reasons.append(f"{executor.name}: {reason}")
    return Refusal("; ".join(reasons))


def _mode(device_type: str) -> str | None:
    """Return a mode of torch that must see every operator."""
    if autocast_is_on(device_type):
        return "autocast is enabled"
    if transforms_are_active():
        return "a transform of torch.func is active"
    state: Any = torch._C  # torch has no public functions for these
    if state._len_torch_dispatch_stack() or state._len_torch_function_stack():  # as of `FlopCounterMode`
        return "a mode of torch sees every operator"
    return "torch.jit.trace records the operators" if state._is_tracing() else None


def _unusual_tensor(tensors: tuple[Tensor, ...]) -> str | None:
    """Return a property of a tensor that plans do not cover: they were recorded with plain tensors of one dtype."""
    dtype, device = tensors[0].dtype, tensors[0].device
    for tensor in tensors:
        if type(tensor) is not Tensor and type(tensor) is not torch.nn.Parameter:
            return f"a tensor is of the class {type(tensor).__name__}"
        if tensor.dtype != dtype or tensor.device != device:
            return f"the input and the state mix {dtype} on {device} and {tensor.dtype} on {tensor.device}"
        if tensor.layout is not torch.strided:
            return f"a tensor has the layout {tensor.layout}"
    return None


class _Installed(NamedTuple):
    version: object
    names: str | None
    executors: tuple[Executor, ...]


_installed = _Installed(None, None, ())


def installed_executors() -> tuple[Executor, ...]:
    """Return the executors in the order in which they are asked: that of `RNNKIT_EXECUTORS`, or else of their names.

    Warns:
        RuntimeWarning: a plugin of an executor is broken.

    Raises:
        PluginError: `RNNKIT_EXECUTORS` names an executor that is not installed or broken.
    """
    global _installed  # noqa: PLW0603  # a cache, replaced as a whole
    names = os.environ.get(VARIABLE)
    if _installed.version is not current_catalog().executors.version or _installed.names != names:
        executors = _by_names(names) if names is not None else _all()
        _installed = _Installed(current_catalog().executors.version, names, executors)
    return _installed.executors


def _by_names(names: str) -> tuple[Executor, ...]:
    index = current_catalog().executors
    known = [name.strip() for name in names.split(",") if name.strip()]
    try:
        return tuple(executor_instance(index.get(name)) for name in known)
    except (LookupError, PluginError) as error:
        available = join_quoted(index.names()) or "none"
        raise PluginError(f"{VARIABLE}={names!r} cannot be used: {error} Installed executors: {available}.") from error


def _all() -> tuple[Executor, ...]:
    index = current_catalog().executors
    executors = []
    for name in index.names():
        try:
            executors.append(executor_instance(index.get(name)))
        except PluginError as error:
            warnings.warn(f"{error} Cells run without it.", RuntimeWarning, stacklevel=2)
    return tuple(executors)


@cache
def executor_instance(cls: Any) -> Executor:
    """Return the instance of a class that a plugin registers.

    Raises:
        PluginError: it is not a class of executors.
    """
    if not (isinstance(cls, type) and issubclass(cls, Executor)):
        raise PluginError(f"An executor must be a subclass of rnnkit.plan.Executor, but is {cls!r}.")
    return cls()
