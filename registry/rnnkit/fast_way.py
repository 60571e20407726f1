"""The fast ways through time that cells bring along, taken where they cannot be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from rnnkit.cell import Cell
from rnnkit.transforms import transforms_are_active
from rnnkit.unrolling import is_called, kept_rows

_PATCHABLE = frozenset({"forward", "project", "step", "unroll"})


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
        or is_called(cell)
    )


def _keeping_empty_rows(result: Any, before: Any, lengths: Tensor | None) -> Any:
    """The same without the one step that rows of length 0 have run."""
    if lengths is None or result is NotImplemented:
        return result
    output, after = result
    return output, kept_rows(lengths == 0, before, after)
