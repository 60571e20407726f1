"""Create the cells of a stack from a spec, and initialize them as its options ask."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rnnkit.cells.cell import Cell, require_super_init, state_fields
from rnnkit.errors import BuildError
from rnnkit.options import StackOptions

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


CellFactory = type[Cell] | partial[Any]
"""A class of cells, or a `partial` of one."""


def cell_class(factory: CellFactory) -> type[Cell]:
    """Return the class of the cells that a factory creates."""
    cell: type[Cell] = factory.func if isinstance(factory, partial) else factory  # type: ignore[assignment]  # a partial of a class
    return cell


def constructor_parameters(cell: type[Cell]) -> frozenset[str]:
    """Return the parameter names of a cell's constructor, including those of base classes if it takes `**kwargs`."""
    names: set[str] = set()
    for base in cell.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            names |= {parameter.name for parameter in parameters}
            if all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters):
                break
    return frozenset(names)


def make_layers(spec: RecurrentSpec[Any], factories: Sequence[CellFactory], **factory_kwargs: Any) -> list[list[Cell]]:
    """Create the cells of each layer, one for each direction; `factory_kwargs` are `device` and `dtype`."""
    layers: list[list[Cell]] = []
    has_elapsed = time_feature(spec) is not None
    size = spec.input_size - has_elapsed
    for layer, (factory, hidden_size) in enumerate(zip(factories, spec.hidden_sizes, strict=True)):
        require_sizes_and_factory_kwargs(factory)
        layers.append(
            [
                _create(factory, size, hidden_size, **cell_arguments(factory, spec, layer, direction), **factory_kwargs)
                for direction in range(spec.directions)
            ]
        )
        size = output_features(layers[-1])
    for cell in (cell for layer in layers for cell in layer):
        cell.has_elapsed = has_elapsed
        _initialize(cell, spec.options)
    return layers


def time_feature(spec: RecurrentSpec[Any]) -> int | None:
    """Return the index of the input feature that holds the elapsed time, or None."""
    return spec.options.time_feature if isinstance(spec.options, StackOptions) else None


def require_sizes_and_factory_kwargs(factory: CellFactory) -> None:
    """Raise TypeError unless a cell's constructor takes its sizes, `device` and `dtype`."""
    try:
        inspect.signature(factory).bind_partial(1, 1, device=None, dtype=None)
    except TypeError as error:
        name = cell_class(factory).__name__
        raise TypeError(
            f"{name}.__init__ must take the sizes, device and dtype, as in `def __init__(self, input_size, "
            f"hidden_size, *, device=None, dtype=None)`, and pass them to super().__init__: {error}"
        ) from None


def _create(factory: CellFactory, *sizes: int, **kwargs: Any) -> Cell:
    cell: Cell = factory(*sizes, **kwargs)
    require_super_init(cell)
    return cell


def cell_arguments(
    factory: CellFactory, spec: RecurrentSpec[Any], layer: int = 0, direction: int = 0
) -> dict[str, Any]:
    """Return the arguments of a cell's constructor other than its sizes, device and dtype.

    Args:
        factory: creates the cell.
        spec: the configuration of the stack.
        layer: the layer, counted from zero.
        direction: 0 for the forward direction, 1 for the reverse direction.
    """
    arguments = {"bias": spec.bias, "layer": layer, "num_layers": spec.num_layers, "direction": direction}
    options = spec.options
    if isinstance(options, StackOptions):
        arguments["layer_norm"] = options.layer_norm == "gates"
        arguments |= options.of_layer(layer)
    accepted = constructor_parameters(cell_class(factory))
    return {name: value for name, value in arguments.items() if name in accepted}


def _initialize(cell: Cell, options: Any) -> None:
    if not isinstance(options, StackOptions):
        return
    if options.recurrent_init == "orthogonal":
        cell.init_orthogonal()
    with torch.no_grad():
        if options.forget_bias == "chrono":
            cell.init_chrono(options.chrono_length or 0)
        elif options.forget_bias is not None:
            cell.set_forget_bias(options.forget_bias)


def learned_state(cell: Cell, **factory_kwargs: Any) -> nn.ParameterDict:
    """Create a parameter for each part of the initial state that is learned, with the cell's own value."""
    initial = zip(state_fields(type(cell)), cell.initial_state(1, **factory_kwargs), strict=True)
    learned = [(name, part) for name, part in initial if part.is_floating_point() and name not in cell.bookkeeping]
    # clone: `part[0]` is a view, and a cell may return the same tensor for two parts or a tensor that it keeps
    return nn.ParameterDict({name: nn.Parameter(part[0].clone()) for name, part in learned})


def require_shared_masks(cells: Iterable[Cell]) -> None:
    """Raise BuildError if the parts of a state that share a mask of zoneout have other first axes."""
    for cell in {type(cell): cell for cell in cells if cell.shared_zoneout_mask}.values():
        state = cell.state_shapes(1)
        axes = {name: tuple(getattr(state, name))[:2] for name in cell.shared_zoneout_mask}
        if len(set(axes.values())) > 1 or any(len(each) < 2 for each in axes.values()):
            raise BuildError(
                f"The parts in {type(cell).__name__}.shared_zoneout_mask must have the same first two axes "
                f"(batch, units), but for one sequence they are {axes}"
            )


def output_features(layer: Sequence[Cell]) -> int:
    """Return the number of output features of a layer, over all directions."""
    return sum(cell.output_size for cell in layer)
