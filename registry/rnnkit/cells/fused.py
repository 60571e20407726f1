"""Choose between a cell's own executor (`unroll`, `unroll_layers`) and the step loop.

An executor is used only where it is known to be equal to the step loop: in doubt, the step loop runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from torch import Tensor

from rnnkit.cells._unroll import needs_module_call, select_rows
from rnnkit.cells.cell import Cell
from rnnkit.model import map_state, transforms_are_active
from rnnkit.options import StackOptions

_Condition = Callable[[Any, bool], bool]


def _always(_value: Any, _training: bool) -> bool:
    return True


def _in_evaluation(_value: Any, training: bool) -> bool:
    return not training


# For each option, the values and the modes in which a fused path is equal to the step loop. An option that is missing
# here disables the fused path unless it has its default, so that a new option is never silently ignored.
_FUSED_LAYERS: Mapping[str, _Condition] = {
    "recurrent_init": _always,
    "forget_bias": _always,
    "chrono_length": _always,
    "learn_initial_state": _always,
    "layer_norm": lambda value, _training: value != "output",
    "recurrent_dropout": _in_evaluation,
}
# One cell at a time is fused, so options that act between layers are applied by `CellStack`.
_FUSED_CELLS: Mapping[str, _Condition] = {
    **_FUSED_LAYERS,
    "layer_norm": _always,
    "residual": _always,
    "variational_dropout": _always,
}


# A plan is that of the steps as regularization changes them.
_PLANS: Mapping[str, _Condition] = {
    **_FUSED_CELLS,
    "recurrent_dropout": _always,
    "zoneout": _always,
    "time_feature": _always,
}


class ExecutionPaths(NamedTuple):
    """The ways of running cells that the options of a stack allow.

    Attributes:
        plans: True if an executor may run the plan of a cell.
        cells: True if a cell may run its `unroll`, for one layer in one direction.
        layers: True if the cells may run their `unroll_layers`, for all layers at once.
    """

    plans: bool
    cells: bool
    layers: bool


def execution_paths(options: StackOptions, *, training: bool) -> ExecutionPaths:
    """Return the ways of running cells that are equal to the step loop under these options.

    Only the fields of `StackOptions` matter: the kind's own options go to the constructor of its cells.
    """
    return ExecutionPaths(
        plans=_all_allow(_PLANS, options, training=training),
        cells=_all_allow(_FUSED_CELLS, options, training=training),
        layers=_all_allow(_FUSED_LAYERS, options, training=training),
    )


def _all_allow(conditions: Mapping[str, _Condition], options: StackOptions, *, training: bool) -> bool:
    # Not the defaults of the kind's own options class: a default that is changed there does act.
    defaults = StackOptions()
    for option in (field.name for field in fields(StackOptions)):
        value = getattr(options, option)
        condition = conditions.get(option)
        if value != getattr(defaults, option) and (condition is None or not condition(value, training)):
            return False
    return True


def unroll_fused(cell: Cell, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
    """Call the cell's own `unroll`, or return `NotImplemented` if its result could differ from the step loop."""
    cls = type(cell)
    # An executor belongs to the `step` and `project` of the class that defines it: if one of them has been overridden
    # or patched since, the executor computes something else.
    if (
        cls._unroll_origin != (cls.step, cls.project, cls.prepare, cls.unroll)
        or is_modified(cell)
        or transforms_are_active()
    ):
        return NotImplemented
    if lengths is None:
        return cell.unroll(x, state, None)
    # torch's packing refuses sequences of length 0. They run one step, which `_restore_empty` undoes.
    return _restore_empty(cell.unroll(x, state, lengths.clamp(min=1)), state, lengths)


def unroll_layers_fused(
    cells: Sequence[Cell],
    x: Tensor,
    states: tuple[Any, ...] | None,
    lengths: Tensor | None,
    *,
    directions: int,
    dropout: float,
) -> Any:
    """Call the cells' own `unroll_layers`, or return `NotImplemented` if its result could differ from the step loop."""
    cls = type(cells[0])
    if (
        cls._unroll_layers_origin != (cls.step, cls.project, cls.prepare, cls.unroll, cls.unroll_layers)
        or transforms_are_active()
    ):
        return NotImplemented
    for cell in cells:  # a loop, not `any()`: this runs at every call, and a generator costs more than the checks
        if type(cell) is not cls or is_modified(cell):
            return NotImplemented
    at_least_one = None if lengths is None else lengths.clamp(min=1)
    result = cls.unroll_layers(cells, x, states, at_least_one, directions=directions, dropout=dropout)
    return result if lengths is None else _restore_empty(result, states, lengths)


def is_modified(cell: Cell) -> bool:
    """True if hooks, parametrizations or attributes of this one object change what it computes."""
    own = cell.__dict__
    return (
        "step" in own
        or "project" in own
        or "unroll" in own
        # as `parametrize.is_parametrized`, which is slower: for most modules it raises and catches an AttributeError
        or "parametrizations" in cell._modules
        or needs_module_call(cell)
    )


def _restore_empty(result: Any, initial: Any, lengths: Tensor) -> Any:
    """Give sequences of length 0 back their initial state."""
    if result is NotImplemented:
        return result
    output, final = result
    initial = map_state(lambda part, after: part.to(after.dtype), initial, final)  # autocast may have narrowed it
    return output, select_rows(lengths == 0, initial, final)
