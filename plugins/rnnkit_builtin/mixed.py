"""The kind `mixed`: a stack with another kind of cell in each layer."""

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

IN_TURN = ("lstm_cell", "gru_cell")


class MixedOptions(StackOptions):
    """Options of `mixed`."""

    cells: tuple[str, ...] | None = None
    """Kind of the cell of each layer, from the first layer to the last: `rnn_cell`, `gru_cell`, `lstm_cell`, or any
    kind that is a stack of one cell type. Fewer names than layers repeat. None: `lstm_cell` and `gru_cell`,
    alternating. Each cell has the default options of its own kind."""

    @field_validator("cells")
    @classmethod
    def _canonical(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """As a spec does with its `kind`: a saved spec means the same wherever it is read."""
        return names if names is None else tuple(_canonical_name(name) for name in names)


def _canonical_name(name: str) -> str:
    try:
        kind = get_kind(name)
    except UnknownKindError as error:
        raise ValueError(str(error)) from error
    if kind.cell is None:
        raise ValueError(f"The kind {name!r} has no cell to put into a layer: choose a kind such as 'lstm_cell'")
    chosen = resolve_kind(name).chosen
    return name if chosen is None else chosen.name


def _names_fit_layers(spec: RecurrentSpec[MixedOptions]) -> Iterator[Problem]:
    names = spec.options.cells
    if names is not None and (not names or spec.num_layers % len(names)):
        yield Problem(
            "options.cells",
            f"cells has {len(names)} names, which do not fit num_layers={spec.num_layers}: give one for each layer, or "
            "a pattern whose length divides num_layers",
        )


def _cells(spec: RecurrentSpec[MixedOptions]) -> list[partial[Cell]]:
    names = spec.options.cells or IN_TURN
    return [_with_defaults(get_kind(names[layer % len(names)])) for layer in range(spec.num_layers)]


def _with_defaults(kind: Kind) -> partial[Cell]:
    """The cell of a kind with that kind's own options at their defaults."""
    cell: Any = kind.cell
    own = {field.name for field in fields(kind.options)} - {field.name for field in fields(StackOptions)}
    defaults = kind.options()
    return partial(cell, **{name: getattr(defaults, name) for name in own})


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            _cells,
            name="mixed",
            options=MixedOptions,
            check=_names_fit_layers,
            summary="A stack whose layers have different kinds of cells, as an LSTM below a GRU.",
        )
    )
