"""The kind `mixed`: a stack with a different kind of cell in each layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from typing import Any

from pydantic import field_validator

from rnnkit import (
    Cell,
    Kind,
    Problem,
    RecurrentSpec,
    StackOptions,
    UnknownKindError,
    cell_kind,
    get_kind,
    hookimpl,
    resolve_kind,
)

DEFAULT_CELLS = ("lstm_cell", "gru_cell")


class MixedOptions(StackOptions):
    """The options of `mixed`.

    Attributes:
        cells: for each layer, from the bottom up, the kind whose cell it has: `rnn_cell`, `gru_cell`, `lstm_cell`, or
            one that a plugin makes of one cell. Fewer names than layers repeat. None: `lstm_cell` and `gru_cell` in
            turn. Each cell has the options of its own kind at their defaults.
    """

    cells: tuple[str, ...] | None = None

    @field_validator("cells")
    @classmethod
    def _canonical(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        # as a spec does with its `kind`: a saved spec means the same in every environment
        return names if names is None else tuple(_canonical_name(name) for name in names)


def _canonical_name(name: str) -> str:
    try:
        kind = get_kind(name)
    except UnknownKindError as error:
        raise ValueError(str(error)) from error
    if kind.cell is None:
        raise ValueError(f"The kind {name!r} is not made of one cell: choose a kind such as 'lstm_cell'")
    chosen = resolve_kind(name).chosen
    return name if chosen is None else chosen.name


def _check_spec(spec: RecurrentSpec[MixedOptions]) -> Iterator[Problem]:
    names = spec.options.cells
    if names is not None and (not names or spec.num_layers % len(names)):
        yield Problem(
            "options.cells",
            f"cells has {len(names)} names, but num_layers={spec.num_layers}: give one name for each layer, or a "
            "pattern whose length divides num_layers",
        )


def _layer_cells(spec: RecurrentSpec[MixedOptions]) -> list[partial[Cell]]:
    names = spec.options.cells or DEFAULT_CELLS
    return [_with_defaults(get_kind(names[layer % len(names)])) for layer in range(spec.num_layers)]


def _with_defaults(kind: Kind) -> partial[Cell]:
    """Return the cell of a kind with the kind's own options at their defaults."""
    cell: Any = kind.cell
    own = {field.name for field in fields(kind.options)} - {field.name for field in fields(StackOptions)}
    defaults = kind.options()
    return partial(cell, **{name: getattr(defaults, name) for name in own})


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            _layer_cells,
            name="mixed",
            options=MixedOptions,
            check=_check_spec,
            summary="A stack whose layers have different kinds of cells, as an LSTM below a GRU.",
        )
    )
