"""Create a kind from a cell: its record, its builder, and the check of specs that its cells do not support."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from typing import Any

import torch

from rnnkit._messages import join_names
from rnnkit.cells._zoneout_rules import zoneout_problems
from rnnkit.cells.cell import Cell, state_fields
from rnnkit.cells.construction import (
    CellFactory,
    cell_arguments,
    cell_class,
    constructor_parameters,
    require_sizes_and_factory_kwargs,
    time_feature,
)
from rnnkit.cells.stack import CellStack
from rnnkit.deprecation import Deprecation
from rnnkit.kind import Kind, Paper, Problem
from rnnkit.options import StackOptions, own_fields
from rnnkit.specs import RecurrentSpec

Cells = Callable[[RecurrentSpec[Any]], Sequence[CellFactory]]
Check = Callable[[RecurrentSpec[Any]], Iterable[Problem]]


def cell_kind(
    cell: type[Cell] | Cells,
    *,
    name: str,
    summary: str,
    keywords: Sequence[str] = (),
    equation: str = "",
    meanings: Mapping[str, str] | None = None,
    papers: Sequence[Paper] = (),
    notes: Sequence[str] = (),
    family: str = "",
    options: type[StackOptions] = StackOptions,
    check: Check = lambda _spec: (),
    inapplicable_checks: Mapping[str, str] | None = None,
    deprecated: Deprecation | None = None,
) -> Kind:
    """Create the kind that stacks a cell: layers, directions, lengths, states, streaming and all of `StackOptions`.

    ```python
    @hookimpl
    def register_kinds(register):
        register(cell_kind(MyCell, name="my_cell", summary="..."))
    ```

    Args:
        cell: the class of the cells; see `Cell` for the features that it may define. Where an option adds a part to the
            state, its `class_for` chooses a subclass. To use unrelated classes, give a function that takes a spec
            without problems and returns the class of the cells of each layer, from the bottom up.
        name: the kind's name, equal to the name of the plugin's entry point.
        summary: one sentence.
        keywords: other names and related terms by which readers search for it, as in `Kind`.
        equation: the update of one step in LaTeX; must be equal to the cell's `step`.
        meanings: the meanings of the symbols, as in `Kind`; None: there is nothing to explain.
        papers: the publications on which the cell is based, the main one first.
        notes: sentences on where the equation differs from the papers, and where other implementations do.
        family: the group in which tables list the kind, such as `"gated"`.
        options: `StackOptions`, or a subclass of it. The fields that a subclass adds are passed to the constructor of
            the cell by name.
        check: yields a `Problem` for each rule between fields that a spec breaks, in addition to the limitations of the
            cells.
        inapplicable_checks: the conformance checks that do not apply, with reasons, as in `Kind`; None: all apply.
        deprecated: a note that the kind will be removed or replaced; None: it is not deprecated.

    Raises:
        TypeError: the cell's constructor does not take the sizes, `device`, `dtype` or a field of the options.
    """
    cells = _layer_factories(cell, options)

    def build(spec: RecurrentSpec[Any], *, device: torch.device | str | None, dtype: torch.dtype | None) -> CellStack:
        return CellStack(spec, cells(spec), device=device, dtype=dtype)

    # a local kind that is registered again replaces the one whose builder has the same name
    build.__module__, build.__qualname__ = cell.__module__, cell.__qualname__

    def check_spec(spec: RecurrentSpec[Any]) -> Iterable[Problem]:
        return list(check(spec)) or stack_problems(spec, cells(spec))

    return Kind(
        name=name,
        builder=build,
        options=options,
        summary=summary,
        keywords=tuple(keywords),
        equation=equation,
        meanings=meanings or {},
        papers=tuple(papers),
        notes=tuple(notes),
        family=family,
        check=check_spec,
        features=lambda spec: _features(spec, cells(spec)),
        sizes_per_layer=True,
        cell=cell if isinstance(cell, type) else None,
        inapplicable_checks=inapplicable_checks or {},
        deprecated=deprecated,
    )


def _layer_factories(cell: type[Cell] | Cells, options: type[StackOptions]) -> Cells:
    if not isinstance(cell, type):
        return cell
    require_sizes_and_factory_kwargs(cell)
    _require_options(cell, options)
    return lambda spec: [_class_of_layer(cell, spec.options, layer) for layer in range(spec.num_layers)]


def _require_options(cell: type[Cell], options: type[StackOptions]) -> None:
    missing = own_fields(options(), StackOptions).keys() - constructor_parameters(cell)
    if missing:
        raise TypeError(f"{cell.__name__} must take {join_names(sorted(missing))}, which {options.__name__} defines")


def _class_of_layer(cell: type[Cell], options: StackOptions, layer: int) -> type[Cell]:
    chosen = cell.class_for(options.of_layer(layer))
    if chosen is cell:
        return cell
    if not issubclass(chosen, cell):  # as where a subclass inherits the choice of its base class
        raise TypeError(
            f"{cell.__name__}.class_for returned {chosen.__name__}, which is not a subclass of {cell.__name__}: "
            "override class_for"
        )
    _require_options(chosen, type(options))
    return chosen


def stack_problems(spec: RecurrentSpec[Any], factories: Sequence[CellFactory]) -> Iterator[Problem]:
    """Yield the problems of a spec for a stack of these cells."""
    options: StackOptions = spec.options
    yield from _layer_problems(spec, options)
    by_field: dict[str, Problem] = {}  # one for each field: the problem of the lowest layer
    for layer, factory in reversed(list(enumerate(factories))):
        by_field |= {problem.field: problem for problem in _cell_problems(spec, options, factory, layer)}
    yield from by_field.values()


def _layer_problems(spec: RecurrentSpec[Any], options: StackOptions) -> Iterator[Problem]:
    if options.residual and spec.num_layers == 1:
        yield Problem("options.residual", "residual=True has no effect with num_layers=1; use num_layers >= 2")
    elif options.residual and len(set(spec.hidden_sizes)) > 1:
        sizes = f"hidden_size={spec.hidden_size}"
        yield Problem("options.residual", f"residual=True requires layers of one size, but {sizes}")
    yield from starmap(Problem, options.chrono_problems())
    if options.variational_dropout and spec.dropout == 0:
        yield Problem(
            "options.variational_dropout", "variational_dropout=True has no effect with dropout=0; set dropout above 0"
        )
    if options.time_feature is not None:
        yield from _time_problems(spec, options.time_feature)
    if options.layer_norm == "output" and 1 in [size * spec.directions for size in spec.hidden_sizes]:
        yield Problem("options.layer_norm", "Normalizing a single feature always gives zero: set hidden_size above 1")


def _time_problems(spec: RecurrentSpec[Any], index: int) -> Iterator[Problem]:
    if spec.num_embeddings is not None:
        message = "time_feature requires input features, but num_embeddings makes the input token ids: leave it at None"
        yield Problem("options.time_feature", message)
    elif index >= spec.input_size:
        message = f"time_feature={index} must be the index of an input feature, below input_size={spec.input_size}"
        yield Problem("options.time_feature", message)
    elif spec.input_size == 1:
        message = "time_feature leaves no other input feature with input_size=1: count it in input_size"
        yield Problem("options.time_feature", message)


def _cell_problems(
    spec: RecurrentSpec[Any], options: StackOptions, factory: CellFactory, layer: int
) -> Iterator[Problem]:
    cell = cell_class(factory)
    accepted, parts = constructor_parameters(cell), state_fields(cell)
    if not spec.bias and "bias" not in accepted:
        yield Problem("bias", f"{cell.__name__} does not support bias=False: leave bias at True")
    if options.layer_norm == "gates" and "layer_norm" not in accepted:
        yield Problem("options.layer_norm", f"{cell.__name__} has no layer norm in its gates: use 'output' or 'none'")
    if options.forget_bias is not None and cell.set_forget_bias is Cell.set_forget_bias:
        yield Problem("options.forget_bias", f"{cell.__name__} has no forget gate: leave it at None")
    elif options.forget_bias == "chrono" and cell.set_chrono_bias is Cell.set_chrono_bias:
        message = f"{cell.__name__} has no chrono initialization: give a number, or leave it at None"
        yield Problem("options.forget_bias", message)
    if options.forget_bias is not None and not spec.bias:
        yield Problem("options.forget_bias", "forget_bias requires bias=True: set it, or leave forget_bias at None")
    if options.time_feature is not None and not cell.takes_elapsed:
        instead = "leave it at None, so that the time is an input feature like the others"
        yield Problem("options.time_feature", f"{cell.__name__} takes no elapsed time: {instead}")
    if options.recurrent_dropout and not cell.recurrent_dropout_parts:
        yield Problem(
            "options.recurrent_dropout",
            f"The state of {cell.__name__} is not read by matrix products only, and a fixed mask would make it vanish "
            "or explode: use zoneout",
        )
    yield from zoneout_problems(options, cell)
    if options.learn_initial_state and set(parts) <= set(cell.bookkeeping):
        message = f"The state of {cell.__name__} is bookkeeping, which is not learned: leave it at False"
        yield Problem("options.learn_initial_state", message)
    if options.recurrent_init == "orthogonal" and not _has_recurrent_weights(factory, spec, layer):
        yield Problem("options.recurrent_init", f"{cell.__name__} has no recurrent weight: leave it at 'default'")


def _has_recurrent_weights(factory: CellFactory, spec: RecurrentSpec[Any], layer: int) -> bool:
    size, arguments = spec.hidden_sizes[layer], cell_arguments(factory, spec, layer)
    try:
        cell = factory(size, size, **arguments, device="meta")  # equal sizes, since a cell may reject others
    except RuntimeError:  # torch cannot count the bytes of a parameter of that size; a model is never built with it
        cell = factory(1, 1, **arguments, device="meta")
    return bool(cell.recurrent_weights())


def _features(spec: RecurrentSpec[Any], factories: Sequence[CellFactory]) -> int:
    """Return the number of output features of the last layer."""
    try:
        *_, last = _meta_cells(spec, factories)
    except RuntimeError:  # torch cannot count the bytes of a layer; the last one may be smaller
        arguments = cell_arguments(factories[-1], spec, spec.num_layers - 1)
        last = factories[-1](1, spec.hidden_sizes[-1], **arguments, device="meta")
    return spec.directions * int(last.output_size)


def _meta_cells(spec: RecurrentSpec[Any], factories: Sequence[CellFactory]) -> Iterator[Cell]:
    """Create one cell of each layer without values, of the sizes in the model: a cell may reject others."""
    size = spec.input_size - (time_feature(spec) is not None)
    for layer, (factory, hidden_size) in enumerate(zip(factories, spec.hidden_sizes, strict=True)):
        cell = factory(size, hidden_size, **cell_arguments(factory, spec, layer), device="meta")
        yield cell
        size = spec.directions * int(cell.output_size)
