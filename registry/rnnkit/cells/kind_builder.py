"""From a cell to a kind: the record, its builder, and the check that refuses what its cells cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from rnnkit.cells.cell import Cell, state_fields
from rnnkit.cells.construction import CellMaker, arguments_for, cell_class, constructor_parameters
from rnnkit.cells.stack import CellStack
from rnnkit.deprecation import Deprecation
from rnnkit.kind import Kind, Paper, Problem
from rnnkit.options import StackOptions, own_fields
from rnnkit.specs import RecurrentSpec

Cells = Callable[[RecurrentSpec[Any]], Sequence[CellMaker]]
Check = Callable[[RecurrentSpec[Any]], Iterable[Problem]]


def cell_kind(
    cell: type[Cell] | Cells,
    *,
    name: str,
    summary: str,
    equation: str = "",
    meanings: Mapping[str, str] | None = None,
    paper: Paper | None = None,
    options: type[StackOptions] = StackOptions,
    check: Check = lambda _spec: (),
    deprecated: Deprecation | None = None,
) -> Kind:
    """The kind that stacks a cell: layers, both directions, lengths, states, streaming, and all of `StackOptions`.

    ```python
    @hookimpl
    def register_kinds(register):
        register(cell_kind(MyCell, name="my_cell", summary="..."))
    ```

    Args:
        cell: the class of the cells; see `Cell` for what it may offer. For several classes, a function from a spec in
            which `check` found no problem to the class of each layer's cells, from the bottom up.
        name: what a spec says to get it; the same as the name of the plugin's entry point.
        summary: one sentence.
        equation: the update of one step in LaTeX, which the cell computes.
        meanings: what its symbols mean, as `Kind` has it; None: nothing needs to be said.
        paper: where it was published.
        options: `StackOptions`, or a subclass of it. Its own fields go to the cell's constructor, under their names.
        check: yields a `Problem` for each rule between fields that a spec breaks, beyond what the cells cannot honour.
        deprecated: that the kind goes away, or what takes its place; None: it stays.

    Raises:
        TypeError: the options have a field that the cell's constructor does not take.
    """
    cells = _cells_of_each_layer(cell, options)

    def build(spec: RecurrentSpec[Any], *, device: torch.device | str | None, dtype: torch.dtype | None) -> CellStack:
        return CellStack(spec, cells(spec), device=device, dtype=dtype)

    build.__module__, build.__qualname__ = cell.__module__, cell.__qualname__  # how a local kind knows its next version

    def checked(spec: RecurrentSpec[Any]) -> Iterable[Problem]:
        return list(check(spec)) or stack_problems(spec, cells(spec))

    return Kind(
        name=name,
        builder=build,
        options=options,
        summary=summary,
        equation=equation,
        meanings=meanings or {},
        paper=paper,
        check=checked,
        sizes_per_layer=True,
        cell=cell if isinstance(cell, type) else None,
        deprecated=deprecated,
    )


def _cells_of_each_layer(cell: type[Cell] | Cells, options: type[StackOptions]) -> Cells:
    if not isinstance(cell, type):
        return cell
    untaken = own_fields(options(), StackOptions).keys() - constructor_parameters(cell)
    if untaken:
        raise TypeError(f"{cell.__name__} must take {', '.join(sorted(untaken))}, as {options.__name__} has it")
    return lambda spec: [cell] * spec.num_layers


def stack_problems(spec: RecurrentSpec[Any], cells: Sequence[CellMaker]) -> Iterator[Problem]:
    """What a stack of these cells cannot honour."""
    options: StackOptions = spec.options
    yield from _problems_of_layers(spec, options)
    told: dict[str, Problem] = {}  # by field: what is beyond several cells is said of the lowest
    for maker in reversed(cells):
        told |= {problem.field: problem for problem in _problems_of_cell(spec, options, maker)}
    yield from told.values()


def _problems_of_layers(spec: RecurrentSpec[Any], options: StackOptions) -> Iterator[Problem]:
    if options.residual and spec.num_layers == 1:
        yield Problem("options.residual", "A residual connection spans a layer above the first: set num_layers above 1")
    elif options.residual and len(set(spec.hidden_sizes)) > 1:
        sizes = f"hidden_size={spec.hidden_size}"
        yield Problem("options.residual", f"A layer's input and output are added, so all need one size, but {sizes}")
    if options.variational_dropout and spec.dropout == 0:
        yield Problem("options.variational_dropout", "It says how dropout is drawn: set dropout above 0")
    if options.layer_norm == "output" and 1 in [size * spec.directions for size in spec.hidden_sizes]:
        yield Problem("options.layer_norm", "Normalizing a single feature always gives zero: set hidden_size above 1")


def _problems_of_cell(spec: RecurrentSpec[Any], options: StackOptions, maker: CellMaker) -> Iterator[Problem]:
    cell = cell_class(maker)
    taken, parts = constructor_parameters(cell), state_fields(cell)
    if not spec.bias and "bias" not in taken:
        yield Problem("bias", f"{cell.__name__} has no choice about its biases: leave bias at True")
    if options.layer_norm == "gates" and "layer_norm" not in taken:
        yield Problem("options.layer_norm", f"{cell.__name__} has no layer norm in its gates: use 'output' or 'none'")
    if options.forget_bias is not None and cell.set_forget_bias is Cell.set_forget_bias:
        yield Problem("options.forget_bias", f"{cell.__name__} has no forget gate: leave it at None")
    if options.forget_bias is not None and not spec.bias:
        yield Problem("options.forget_bias", "With bias=False there is no bias to start anywhere: leave it at None")
    if options.recurrent_dropout and not cell.recurrent_dropout_parts:
        yield Problem(
            "options.recurrent_dropout",
            f"The state of {cell.__name__} is not read by matrix products only, so that a mask that stays would let it "
            "vanish or explode: use zoneout",
        )
    if isinstance(options.zoneout, tuple) and len(options.zoneout) != len(parts):
        yield Problem(
            "options.zoneout",
            f"The state of {cell.__name__} has {len(parts)} part{'s' * (len(parts) > 1)}, {', '.join(parts)}: "
            "give one number for each, or one number for all cells and parts",
        )
    if options.recurrent_init == "orthogonal" and not _has_recurrent_weights(maker, spec):
        yield Problem("options.recurrent_init", f"{cell.__name__} has no recurrent weight: leave it at 'default'")


def _has_recurrent_weights(maker: CellMaker, spec: RecurrentSpec[Any]) -> bool:
    return bool(maker(1, 1, **arguments_for(maker, spec), device="meta").recurrent_weights())
