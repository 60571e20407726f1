"""The rules of the option `zoneout`, which depend on the state of a class of cells."""

from __future__ import annotations

from collections.abc import Iterator

from rnnkit._messages import join_names
from rnnkit.cells.cell import Cell, state_fields
from rnnkit.kind import Problem
from rnnkit.options import StackOptions


def zoneout_problems(options: StackOptions, cell: type[Cell]) -> Iterator[Problem]:
    """Yield at most one problem of the option for a class of cells."""
    parts, rates = state_fields(cell), options.zoneout
    message = _message(cell, parts, rates) if rates != 0.0 else ""
    if message:
        yield Problem("options.zoneout", message)


def _message(cell: type[Cell], parts: tuple[str, ...], rates: float | tuple[float, ...]) -> str:
    state = f"The state of {cell.__name__}"
    each = rates if isinstance(rates, tuple) else (rates,) * len(parts)
    if len(each) != len(parts):
        return (
            f"{state} has {len(parts)} part{'s' * (len(parts) > 1)}, {join_names(parts)}: give one number for each, or "
            "one number for all cells and parts"
        )
    if any(each) and not cell.supports_zoneout:
        return f"{state} means nothing if features of two steps are mixed: leave zoneout at 0, and use dropout"
    if set(parts) <= set(cell.bookkeeping):
        return f"{state} is bookkeeping, which zoneout leaves as it is: leave zoneout at 0"
    by_part = dict(zip(parts, each, strict=True))
    if isinstance(rates, tuple) and (name := next((name for name in cell.bookkeeping if by_part[name]), None)):
        return f"The part {name} of {cell.__name__} is bookkeeping, which zoneout leaves as it is: give 0 for it"
    if len({by_part[name] for name in cell.shared_zoneout_mask}) > 1:
        return f"The parts {join_names(cell.shared_zoneout_mask)} of {cell.__name__} share a mask: give them one number"
    return ""
