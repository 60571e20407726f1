"""The fast ways through time that cells bring along, taken where they cannot be wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from torch import Tensor

from rnnkit.cells.cell import Cell
from rnnkit.cells.unroll import needs_module_call, select_rows
from rnnkit.model import transforms_are_active
from rnnkit.options import StackOptions

_PATCHABLE = frozenset({"forward", "project", "step", "unroll"})

_Condition = Callable[[Any, bool], bool]


def _always(_value: Any, _training: bool) -> bool:
    return True


def _in_evaluation(_value: Any, training: bool) -> bool:
    return not training


# For each option, the values and the modes under which a fused path stays right. An option that is not listed turns
# the fused path off unless it has its default: a new option is never silently ignored.
_FUSED_LAYERS: Mapping[str, _Condition] = {
    "recurrent_init": _always,
    "forget_bias": _always,
    "learn_initial_state": _always,
    "layer_norm": lambda value, _training: value != "output",
    "recurrent_dropout": _in_evaluation,
}
# `CellStack` itself applies what acts between the layers.
_FUSED_CELLS: Mapping[str, _Condition] = {
    **_FUSED_LAYERS,
    "layer_norm": _always,
    "residual": _always,
    "variational_dropout": _always,
}


class FusedPaths(NamedTuple):
    """Which fused paths some options allow.

    Attributes:
        cells: a cell's own `unroll`, for one layer in one direction.
        layers: the cells' own `unroll_layers`, for all layers at once.
    """

    cells: bool
    layers: bool


def fused_paths(options: StackOptions, *, training: bool) -> FusedPaths:
    """The fused paths that compute the same as the step loop under these options.

    Only the options of `StackOptions` are looked at: a kind's own options go to the constructor of its cells.
    """
    return FusedPaths(
        cells=_all_allow(_FUSED_CELLS, options, training=training),
        layers=_all_allow(_FUSED_LAYERS, options, training=training),
    )


def _all_allow(conditions: Mapping[str, _Condition], options: StackOptions, *, training: bool) -> bool:
    defaults = StackOptions()  # a subclass may have another default, under which the option acts
    for option in (field.name for field in fields(StackOptions)):
        value = getattr(options, option)
        condition = conditions.get(option)
        if value != getattr(defaults, option) and (condition is None or not condition(value, training)):
            return False
    return True


def unroll_fast(cell: Cell, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
    """What the cell's own `unroll` makes of a sequence, or `NotImplemented` where that could be wrong."""
    if not cell.unroll_fits or _is_touched(cell) or transforms_are_active():
        return NotImplemented
    at_least_one = None if lengths is None else lengths.clamp(min=1)
    return _keeping_empty_rows(cell.unroll(x, state, at_least_one), state, lengths)


def unroll_layers_fast(
    cells: Sequence[Cell],
    x: Tensor,
    states: tuple[Any, ...] | None,
    lengths: Tensor | None,
    *,
    directions: int,
    dropout: float,
) -> Any:
    """What the cells' own `unroll_layers` makes of a sequence, or `NotImplemented` where that could be wrong."""
    kind = type(cells[0])
    if not kind.unroll_layers_fits or transforms_are_active():
        return NotImplemented
    for cell in cells:
        if type(cell) is not kind or _is_touched(cell):
            return NotImplemented
    at_least_one = None if lengths is None else lengths.clamp(min=1)
    result = kind.unroll_layers(cells, x, states, at_least_one, directions=directions, dropout=dropout)
    return _keeping_empty_rows(result, states, lengths)


def _is_touched(cell: Cell) -> bool:
    """Whether somebody has changed what this one object does, by hooks, parametrizations or new methods."""
    kind = type(cell)
    step, project = kind.made_with
    return (
        kind.step is not step
        or kind.project is not project
        or "parametrizations" in cell._modules  # what parametrize.is_parametrized asks, without its exception
        or not _PATCHABLE.isdisjoint(cell.__dict__)
        or needs_module_call(cell)
    )


def _keeping_empty_rows(result: Any, before: Any, lengths: Tensor | None) -> Any:
    """The same without the one step that rows of length 0 have run."""
    if lengths is None or result is NotImplemented:
        return result
    output, after = result
    return output, select_rows(lengths == 0, before, after)
