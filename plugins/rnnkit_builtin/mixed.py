"""The kind `mixed`: a stack with a different kind of cell in each layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from pydantic import ValidationError

from rnnkit import Cell, Kind, Problem, RecurrentSpec, StackOptions, cell_kind, hookimpl
from rnnkit_builtin._layer_cells import CellConfig, LayerCell, cell_of, own_options

DEFAULT_CELLS = ("lstm_cell", "gru_cell")
_SHARED = ("bias", "bidirectional", "hidden_size")  # fields of a stack that are those of each of its layers


class MixedOptions(StackOptions):
    """Options of `mixed`."""

    cells: tuple[LayerCell, ...] | None = None
    """Kind of the cell of each layer, from the first layer to the last: `rnn_cell`, `gru_cell`, `lstm_cell`, or any
    kind that is a stack of one cell type. Fewer entries than layers repeat. A mapping `{"kind": "rnn_cell", "options":
    {"nonlinearity": "relu"}}` also sets options of the kind; a name has their defaults. None: `lstm_cell` and
    `gru_cell`, alternating."""


def _check_spec(spec: RecurrentSpec[MixedOptions]) -> Iterator[Problem]:
    entries = spec.options.cells
    if entries is None:
        return
    if not entries or spec.num_layers % len(entries):
        yield Problem(
            "options.cells",
            f"cells has {len(entries)} names, but num_layers={spec.num_layers}: give one name for each layer, or a "
            "pattern whose length divides num_layers",
        )
        return
    sizes = (spec.input_size, *(size * spec.directions for size in spec.hidden_sizes))
    layers = {(layer % len(entries), sizes[layer], spec.hidden_sizes[layer]) for layer in range(spec.num_layers)}
    for index, input_size, hidden_size in sorted(layers):
        yield from _layer_problems(spec, index, input_size, hidden_size)


def _layer_problems(
    spec: RecurrentSpec[MixedOptions], index: int, input_size: int, hidden_size: int
) -> Iterator[Problem]:
    """Yield the problems that the kind of a layer has with its own options and sizes."""
    entry = (spec.options.cells or ())[index]
    kind = entry if isinstance(entry, str) else entry.kind
    try:
        RecurrentSpec(
            kind=kind,
            input_size=input_size,
            hidden_size=hidden_size,
            bias=spec.bias,
            bidirectional=spec.bidirectional,
            options=own_options(entry),
        )
    except ValidationError as error:
        for line in error.errors():
            yield Problem(_path(line["loc"], index, entry), line["msg"])


def _path(loc: tuple[int | str, ...], index: int, entry: str | CellConfig) -> str:
    if loc[0] in _SHARED:
        return str(loc[0])
    steps = [str(step) for step in loc] if loc[0] == "options" and isinstance(entry, CellConfig) else []
    return ".".join(["options.cells", str(index), *steps])


def _layer_cells(spec: RecurrentSpec[MixedOptions]) -> list[partial[Cell]]:
    entries = spec.options.cells or DEFAULT_CELLS
    return [cell_of(entries[layer % len(entries)]) for layer in range(spec.num_layers)]


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
