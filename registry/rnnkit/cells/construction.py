"""The cells of a stack: made from a spec, and started as its options say."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rnnkit.cells.cell import Cell, state_fields
from rnnkit.options import StackOptions, own_fields

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


CellMaker = type[Cell] | partial[Any]
"""A class of cells, or one with some arguments of its constructor filled in."""


def cell_class(maker: CellMaker) -> type[Cell]:
    """The class of the cells that are made."""
    cell: type[Cell] = maker.func if isinstance(maker, partial) else maker  # type: ignore[assignment]  # of a class, by contract
    return cell


def constructor_parameters(cell: type[Cell]) -> frozenset[str]:
    """The names that a cell's constructor takes, those of its base classes included where it hands on `**kwargs`."""
    names: set[str] = set()
    for each in cell.__mro__:
        if "__init__" in vars(each):
            parameters = inspect.signature(vars(each)["__init__"]).parameters.values()
            names |= {parameter.name for parameter in parameters}
            if all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters):
                break
    return frozenset(names)


def make_layers(spec: RecurrentSpec[Any], cells: Sequence[CellMaker], **where: Any) -> list[list[Cell]]:
    """The cells of each layer, one for each direction."""
    layers: list[list[Cell]] = []
    size = spec.input_size
    for make, hidden_size in zip(cells, spec.hidden_sizes, strict=True):
        arguments = arguments_for(make, spec)
        layers.append([make(size, hidden_size, **arguments, **where) for _ in range(spec.directions)])
        size = output_features(layers[-1])
    for cell in (cell for layer in layers for cell in layer):
        _initialize(cell, spec.options)
    return layers


def arguments_for(maker: CellMaker, spec: RecurrentSpec[Any]) -> dict[str, Any]:
    """What a cell's constructor is called with, beside its sizes and where its parameters are created."""
    wanted: dict[str, Any] = {"bias": spec.bias}
    if isinstance(spec.options, StackOptions):
        wanted["layer_norm"] = spec.options.layer_norm == "gates"
        wanted |= own_fields(spec.options, StackOptions)
    taken = constructor_parameters(cell_class(maker))
    return {name: value for name, value in wanted.items() if name in taken}


def _initialize(cell: Cell, options: Any) -> None:
    if not isinstance(options, StackOptions):
        return
    if options.recurrent_init == "orthogonal":
        cell.init_orthogonal()
    if options.forget_bias is not None:
        with torch.no_grad():
            cell.set_forget_bias(options.forget_bias)


def learned_state(cell: Cell, **where: Any) -> nn.ParameterDict:
    """A parameter for each floating-point part of the state of one row, which starts where the cell does."""
    start = zip(state_fields(type(cell)), cell.initial_state(1, **where), strict=True)
    return nn.ParameterDict({name: nn.Parameter(part[0].clone()) for name, part in start if part.is_floating_point()})


def output_features(layer: Sequence[Cell]) -> int:
    """Of the output of a layer, all directions together."""
    return sum(cell.output_size for cell in layer)
