"""Give a cell its plan, if the plan is known to equal the step.

Recording sees operators, not Python. These rules catch what it does not see:

- The step is recorded twice, with other values, another batch size, and inputs that require gradients, and must be
  the same.
- A plan belongs to the fingerprint of a cell, and to the variables that the step reads from outside.
- A plan is compared with two steps and their gradients in float64, on other values of the parameters, and with two
  steps without gradients.

Whenever a rule is broken the cell has no plan, and the reason is kept. The rules do not catch a step that does
something else for large batches, or that reads a file or a device and finds the same twice.
"""

from __future__ import annotations

import copy
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnkit._messages import describe_exception
from rnnkit.model import autocast_is_on, transforms_are_active
from rnnkit.plan.fingerprint import cell_tensors, fingerprint
from rnnkit.plan.lower import lower
from rnnkit.plan.outside import Codes, Outside, outside_values, watch_calls
from rnnkit.plan.programs import Plan
from rnnkit.plan.record import Recording, record
from rnnkit.plan.simplify import simplify
from rnnkit.plan.stages import make_plan
from rnnkit.plan.unsupported import Unsupported
from rnnkit.plan.verification import verify

_DTYPES = {torch.float32, torch.float64}
_MAX_PLANS = 256  # an attribute may change at every call
_CANDIDATES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73)


@dataclass(frozen=True)
class Refusal:
    """A cell that has no plan.

    Attributes:
        reason: the reason, a clause without a period.
    """

    reason: str


class _Entry(NamedTuple):
    result: Plan | Refusal
    outside: Outside


_known: OrderedDict[tuple[Any, ...], _Entry] = OrderedDict()
_stateful: weakref.WeakKeyDictionary[type, Refusal] = weakref.WeakKeyDictionary()


class _Stateful(Unsupported):
    """The step changes the cell, so that each call would have a fingerprint of its own."""


def plan_for(cell: Any) -> Plan | Refusal:
    """Return the plan of a cell's step, or the reason why it has none.

    The plan is made at the first call for cells of these sizes and attributes, which takes tens of milliseconds. The
    author's code runs on a copy of the cell.

    Args:
        cell: a `Cell`.
    """
    try:
        _refuse_modes(cell)
        key = fingerprint(cell)
    except Unsupported as error:
        return Refusal(str(error))
    refusal = _stateful.get(type(cell))
    return _planned(cell, key) if refusal is None else refusal


def _planned(cell: Any, key: tuple[Any, ...]) -> Plan | Refusal:
    entry = _known.get(key)
    if entry is None or not entry.outside.is_unchanged():
        entry = _known[key] = _make(cell, key)
        while len(_known) > _MAX_PLANS:
            _known.popitem(last=False)
    return entry.result


def _make(cell: Any, key: tuple[Any, ...]) -> _Entry:
    try:
        with torch.inference_mode(False), torch.enable_grad():  # gradients are verified, also for a caller in inference
            return _make_plan(copy.deepcopy(cell), key)
    except _Stateful as error:
        _stateful[type(cell)] = Refusal(str(error))
        return _Entry(Refusal(str(error)), Outside((), ()))
    except Unsupported as error:
        return _Entry(Refusal(str(error)), Outside((), ()))
    except Exception as error:  # noqa: BLE001  # the author's code, whose errors the step loop reports where they belong
        return _Entry(Refusal(f"step cannot be recorded: {describe_exception(error)}"), Outside((), ()))


def _make_plan(cell: Any, key: tuple[Any, ...]) -> _Entry:
    small, large = _batch_sizes(cell)
    first, codes = _record(cell, small, gradients=False)
    before = outside_values(cell, codes)
    second, other_codes = _record(cell, large, gradients=True)
    if fingerprint(cell) != key:
        raise _Stateful("step changes attributes of the cell")
    if first != second:
        raise Unsupported(f"step is not the same at every call: {_difference(first, second)}")
    plan = make_plan(lower(simplify(first)))
    verify(plan, cell)
    if not before.is_unchanged():
        raise Unsupported("step changes variables outside of the cell")
    return _Entry(plan, outside_values(cell, codes | other_codes))


def _record(cell: Any, batch: int, *, gradients: bool) -> tuple[Recording, Codes]:
    """Record a step on random values, and note the functions that it calls."""
    generator = torch.Generator().manual_seed(batch)
    tensors = cell_tensors(cell)
    dtype, device = next((t.dtype, t.device) for _, t in tensors if t.is_floating_point())

    def random(*shape: int) -> Tensor:
        values = torch.randn(shape, generator=generator, dtype=dtype).to(device)
        return values.requires_grad_(gradients)

    with torch.enable_grad():  # the plan runs with gradients; `verify` looks for steps that are others without
        projected = cell.project(random(batch, cell.input_size))
        shapes = cell.state_shapes(batch)
        state = type(shapes)(*[random(*shape) for shape in shapes])
        with watch_calls() as codes:
            recording = record(cell, projected, state, tensors, batch)
    return recording, codes


def _batch_sizes(cell: Any) -> Sequence[int]:
    """Return two batch sizes that are not sizes of anything else, so that they are recognized in recordings."""
    taken = {size for _, tensor in cell_tensors(cell) for size in tensor.shape}
    taken |= {size for shape in cell.state_shapes(1) for size in shape} | {cell.input_size}
    return [size for size in _CANDIDATES if size not in taken][:2]


def _difference(first: Recording, second: Recording) -> str:
    for one, other in zip(first.calls, second.calls, strict=False):
        if one != other:
            return f"{one.name} ({one.line}) differs from {other.name} ({other.line})"
    for call in first.calls:
        if any(first.shapes[each] != second.shapes[each] for each in call.results):
            return f"{call.name} ({call.line}) has a result of another shape"
    return f"it calls {len(first.calls)} and {len(second.calls)} operators"


def _refuse_modes(cell: nn.Module) -> None:
    """Refuse a plan for now, because of modes of torch or of the dtypes of the cell."""
    if transforms_are_active():
        raise Unsupported("a transform of torch.func is active")
    tensors = [tensor for _, tensor in cell_tensors(cell) if tensor.is_floating_point() or tensor.is_complex()]
    dtypes, devices = {tensor.dtype for tensor in tensors}, {tensor.device.type for tensor in tensors}
    if len(dtypes) != 1 or not dtypes <= _DTYPES:
        names = ", ".join(sorted(map(str, dtypes))) or "none"
        raise Unsupported(f"all parameters must be float32 or all float64, but their dtypes are: {names}")
    if devices == {"meta"}:
        raise Unsupported("the parameters are on the device meta")
    if any(map(autocast_is_on, devices)):
        raise Unsupported("autocast is enabled")
