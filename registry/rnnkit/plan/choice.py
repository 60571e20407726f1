"""Choose the executor of a cell: the first that can run its plan, if anything may replace the steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._device import DeviceContext

from rnnkit._random_numbers import LocalRandomNumbers
from rnnkit.model import autocast_is_on, transforms_are_active
from rnnkit.plan.executor import Executor
from rnnkit.plan.programs import Plan
from rnnkit.plan.record import flatten
from rnnkit.plan.steps import Regularization
from rnnkit.plan.trust import Refusal, plan_for, plans_for, unusual_memory


class Choice(NamedTuple):
    """An executor, and the plan that it runs."""

    executor: Executor
    plan: Plan


def choose(
    executors: Sequence[Executor], cell: Any, projected: Any, state: Any, regularization: Regularization | None = None
) -> Choice | Refusal:
    """Return the first executor that is equal to the steps of a cell, or the reason why there is none.

    Args:
        executors: the executors, in the order in which they are asked.
        cell: the cell.
        projected: the projected input: `(time, batch, ...)`, or nested tuples of such tensors.
        state: the state before the first step.
        regularization: what changes the steps of the cell; None: nothing.
    """
    if not executors:
        return Refusal("no executor is installed")
    tensors = (*flatten(projected), *state)
    reason = _mode(tensors[0].device.type) or _unusual_tensor(tensors)
    if reason is not None:
        return Refusal(reason)
    return _first(executors, plan_for(cell, regularization), tensors[0])


def choose_each(
    executors: Sequence[Executor], cells: Sequence[Any], x: Tensor, states: Iterable[Any]
) -> list[Choice | Refusal]:
    """Return `choose` for each cell of a stack, with one look at torch's modes, the tensors and the classes.

    The plan of a cell is that of the step and its projection, or else that of the step.

    Args:
        executors: as in `choose`, at least one.
        cells: the cells.
        x: the input of the stack, `(time, batch, input_size)`.
        states: the state of each cell before the first step.
    """
    reason = _mode(x.device.type) or _unusual_tensor((x, *[part for state in states for part in state]))
    if reason is not None:
        return [Refusal(reason)] * len(cells)
    found = [_first(executors, plan, x) for plan in plans_for(cells, with_projection=True)]
    pairs = zip(cells, found, strict=True)
    return [_first(executors, plan_for(cell), x) if isinstance(one, Refusal) else one for cell, one in pairs]


def _first(executors: Sequence[Executor], plan: Plan | Refusal, like: Tensor) -> Choice | Refusal:
    if isinstance(plan, Refusal):
        return plan
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
    if _dispatch_mode() or _function_mode(device_type):  # as of `FlopCounterMode`
        return "a mode of torch sees every operator"
    state: Any = torch._C  # torch has no public functions for these
    return "torch.jit.trace records the operators" if state._is_tracing() else None


def _dispatch_mode() -> bool:
    """Return whether a mode sees operators, other than that which draws random numbers."""
    state: Any = torch._C
    modes = map(state._get_dispatch_stack_at, range(state._len_torch_dispatch_stack()))
    return any(type(mode) is not LocalRandomNumbers for mode in modes)


def _function_mode(device_type: str) -> bool:
    """Return whether a mode sees calls of torch, other than that of `torch.set_default_device`.

    The latter only places new tensors; it has no effect if its device is that of the cell.
    """
    state: Any = torch._C
    modes = map(state._get_function_stack_at, range(state._len_torch_function_stack()))
    return any(type(mode) is not DeviceContext or mode.device.type != device_type for mode in modes)


def _unusual_tensor(tensors: tuple[Tensor, ...]) -> str | None:
    """Return a property of a tensor that plans do not cover: they were recorded with plain tensors of one dtype."""
    dtype, device = tensors[0].dtype, tensors[0].device
    for tensor in tensors:
        if unusual := unusual_memory(tensor):
            return f"a tensor {unusual}"
        if tensor.dtype != dtype or tensor.device != device:
            return f"the input and the state mix {dtype} on {device} and {tensor.dtype} on {tensor.device}"
    return None
