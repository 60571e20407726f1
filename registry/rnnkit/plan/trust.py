"""Give a cell its plan, if the plan is known to equal the step.

Recording sees operators, not Python. These rules catch what it does not see:

- The step is recorded twice, with other values, another batch size, and inputs that require gradients, and must be
  the same. A third recording is of a batch of one.
- A plan belongs to a snapshot of the cell, with the variables that the step reads from outside.
- A plan is compared with two steps and their gradients in float64, on other values of the parameters. Cells of other
  sizes with the same program are compared without gradients.
- All comparisons are made for a batch of one as well, and with and without gradients enabled.

Whenever a rule is broken the cell has no plan, and the reason is kept. The rules do not catch a step that does
something else for large batches, or that reads a file or a device and finds the same twice.
"""

from __future__ import annotations

import copy
import types
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from rnnkit._messages import describe_exception
from rnnkit.model import autocast_is_on, has_global_hooks, transforms_are_active
from rnnkit.plan.code import watch_calls
from rnnkit.plan.guard import Guard
from rnnkit.plan.lower import lower
from rnnkit.plan.programs import Plan
from rnnkit.plan.record import Recording, record
from rnnkit.plan.snapshot import cell_tensors, take_snapshot
from rnnkit.plan.stages import make_plan
from rnnkit.plan.steps import Regularization, Steps
from rnnkit.plan.structure import structure_of
from rnnkit.plan.unsupported import Unsupported
from rnnkit.plan.verification import verify, verify_values

Codes: TypeAlias = frozenset[types.CodeType]

_DTYPES = {torch.float32, torch.float64, torch.bfloat16}
_PLAIN = {Tensor, nn.Parameter}
_MAX_PLANS = 256  # an attribute may change at every call
_MAX_VARIANTS = 8  # of one cell: its regularization may change as well
_CANDIDATES = (23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73)


@dataclass(frozen=True)
class Refusal:
    """A cell that has no plan.

    Attributes:
        reason: the reason, a clause without a period.
    """

    reason: str


class _Entry(NamedTuple):
    """A result, the code that ran to record it, and the key of the snapshot with the variables of this code."""

    result: Plan | Refusal
    codes: Codes
    key: Any


_known: OrderedDict[Any, _Entry] = OrderedDict()
_verified: OrderedDict[Any, Codes] = OrderedDict()
_Guarded: TypeAlias = dict[Any, tuple[Guard, Plan | Refusal]]
_guarded: weakref.WeakKeyDictionary[nn.Module, _Guarded] = weakref.WeakKeyDictionary()
_stateful: weakref.WeakKeyDictionary[nn.Module, Refusal] = weakref.WeakKeyDictionary()


class _Stateful(Unsupported):
    """The step changes the cell, so that each call would have a snapshot of its own."""


def plan_for(
    cell: Any, regularization: Regularization | None = None, *, with_projection: bool = False
) -> Plan | Refusal:
    """Return the plan of a cell's step, or the reason why it has none.

    The plan is made at the first call for cells of these sizes and attributes, which takes tens of milliseconds. The
    author's code runs on a copy of the cell. Later calls compare the cell with what it was, which takes microseconds.

    Args:
        cell: a `Cell`.
        regularization: what changes its steps in training; None: nothing.
        with_projection: True for a plan of the step and of `Cell.project`, which takes the input of the cell
            instead of the projected input. There is none if the input is read by anything but matrix products.
    """
    steps = Steps(cell, regularization, with_projection)
    return _known_plan(steps, set()) or _look_up(steps)


def plans_for(cells: Iterable[Any], *, with_projection: bool = False) -> list[Plan | Refusal]:
    """Return `plan_for` for each cell. The values of classes that several cells have in common are compared once."""
    found: list[Plan | Refusal] = []
    seen: set[Any] = set()
    for cell in cells:
        steps = Steps(cell, None, with_projection)
        plan = _known_plan(steps, seen)
        if plan is None:
            plan = _look_up(steps)
            seen.clear()  # the author's code has run
        found.append(plan)
    return found


def _known_plan(steps: Steps, seen: set[Any]) -> Plan | Refusal | None:
    known = _guarded.get(steps.cell, {}).get(steps.variant)
    return known[1] if known is not None and known[0].is_unchanged(seen) else None


def _look_up(steps: Steps) -> Plan | Refusal:
    try:
        return _find(steps)
    except Unsupported as error:
        return Refusal(str(error))


def _find(steps: Steps) -> Plan | Refusal:
    cell = steps.cell
    _refuse_modes(cell)
    if cell in _stateful:
        return _stateful[cell]
    key = steps.variant, take_snapshot(cell).key
    entry = _known.get(key)
    if entry is None or take_snapshot(cell, entry.codes).key != entry.key:
        entry = _make(steps, key[1])
        _remember(_known, key, entry)
    guarded = _guarded.setdefault(cell, {})
    if len(guarded) >= _MAX_VARIANTS:
        guarded.clear()
    guarded[steps.variant] = Guard(take_snapshot(cell, entry.codes)), entry.result
    return entry.result


def _remember(known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    known[key] = value
    while len(known) > _MAX_PLANS:
        known.popitem(last=False)


def _make(steps: Steps, key: Any) -> _Entry:
    try:
        # the first call may be made for inference, and the plan serves all calls
        with torch.inference_mode(mode=False), torch.enable_grad():
            return _make_plan(_copy(steps), key)
    except _Stateful as error:
        _stateful[steps.cell] = Refusal(str(error))
        return _refused(str(error), key)
    except Unsupported as error:
        return _refused(str(error), key)
    except Exception as error:  # noqa: BLE001  # the author's code, whose errors the step loop reports where they belong
        return _refused(f"step cannot be recorded: {describe_exception(error)}", key)


def _refused(reason: str, key: Any) -> _Entry:
    return _Entry(Refusal(reason), frozenset(), key)


def _copy(steps: Steps) -> Steps:
    cell = copy.deepcopy(steps.cell)
    for (_, tensor), (_, copied) in zip(cell_tensors(steps.cell), cell_tensors(cell), strict=True):
        vars(copied).update(vars(tensor))  # the copy of a parameter has no attributes
    return steps._replace(cell=cell)


def _make_plan(steps: Steps, key: Any) -> _Entry:
    cell = steps.cell
    if take_snapshot(cell).key != key:
        raise Unsupported("a copy of the cell differs from it: do its parameters share memory?")
    first, codes = _record(steps, _batch_sizes(cell)[0], gradients=False)
    before = take_snapshot(cell, codes).key
    plan = make_plan(lower(first, keeps_input=steps.projects))
    all_codes = codes | _verify(steps, first, plan, (steps.projects, structure_of(plan, before)))
    if take_snapshot(cell).key != key:
        raise _Stateful("step changes attributes of the cell")
    if take_snapshot(cell, codes).key != before:
        raise Unsupported("step changes variables outside of the cell")
    snapshot = take_snapshot(cell, all_codes)
    snapshot.refuse_hidden_code()
    return _Entry(plan, all_codes, snapshot.key)


def _verify(steps: Steps, first: Recording, plan: Plan, structure: Any) -> Codes:
    """Verify a plan, and return the functions that the step calls.

    The gradients are verified once for each structure: those of other sizes follow from the values, because what could
    block a gradient is refused when a step is recorded.
    """
    codes = _verified.get(structure)
    if codes is None:
        second, codes = _record(steps, _batch_sizes(steps.cell)[1], gradients=True)
        if first != second:
            raise Unsupported(f"step is not the same at every call: {_difference(first, second)}")
        verify(plan, _copy(steps))
        _remember(_verified, structure, codes)
    else:
        verify_values(plan, _copy(steps))
    _record(steps, 1, gradients=True)  # a step may do something else for a batch of one
    return codes


def _record(steps: Steps, batch: int, *, gradients: bool) -> tuple[Recording, Codes]:
    """Record a step on random values, and note the functions that it calls."""
    cell, generator = steps.cell, torch.Generator().manual_seed(batch)
    (x,), state = steps.random_inputs(1, batch, generator)
    masks = tuple(mask[0] for mask in steps.random_masks(state, 1, generator))
    for tensor in (x, *state):
        tensor.requires_grad_(gradients)
    read = steps.read(x)
    with watch_calls() as codes:
        recording = record(steps.planned, read, masks, state, cell_tensors(cell), batch=batch)
    return recording, frozenset(codes)


def _batch_sizes(cell: Any) -> Sequence[int]:
    """Return two batch sizes that are not sizes of anything else or of its parts: recordings must show them."""
    taken = {size for _, tensor in cell_tensors(cell) for size in tensor.shape}
    taken |= {size for shape in cell.state_shapes(1) for size in shape} | {cell.packed_size}
    return [size for size in _CANDIDATES if all(other % size or not other for other in taken)][:2]


def _difference(first: Recording, second: Recording) -> str:
    for one, other in zip(first.calls, second.calls, strict=False):
        if one != other:
            return f"{one.name} ({one.line}) differs from {other.name} ({other.line})"
    return f"it calls {len(first.calls)} and {len(second.calls)} operators"


def unusual_memory(tensor: Tensor) -> str | None:
    """Return why the memory of a tensor, which executors read, may not have its values; None if it has."""
    if type(tensor) not in _PLAIN:
        return f"is of the class {type(tensor).__name__}"
    if tensor.layout is not torch.strided:
        return f"has the layout {tensor.layout}"
    return "has the negative bit" if tensor.is_neg() else None


def _refuse_modes(cell: nn.Module) -> None:
    """Refuse a plan for now, because of modes of torch or of the dtypes of the cell."""
    if transforms_are_active():
        raise Unsupported("a transform of torch.func is active")
    if has_global_hooks():
        raise Unsupported("torch has global hooks of modules, which would not be called")
    for path, tensor in cell_tensors(cell):
        if unusual := unusual_memory(tensor):
            raise Unsupported(f"the tensor {path} {unusual}")
    tensors = [tensor for _, tensor in cell_tensors(cell) if tensor.is_floating_point() or tensor.is_complex()]
    dtypes, devices = {tensor.dtype for tensor in tensors}, {tensor.device.type for tensor in tensors}
    if len(dtypes) != 1 or not dtypes <= _DTYPES:
        names = ", ".join(sorted(map(str, dtypes))) or "none"
        raise Unsupported(f"all parameters must be float32, all float64 or all bfloat16, but their dtypes are: {names}")
    if devices == {"meta"}:
        raise Unsupported("the parameters are on the device meta")
    if any(map(autocast_is_on, devices)):
        raise Unsupported("autocast is enabled")
