"""A kind, with the specs and models of it that its card describes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from rnnkit import (
    Cell,
    CellStack,
    InitOptions,
    Kind,
    Options,
    RecurrentModel,
    RecurrentSpec,
    StackOptions,
    build_model,
    current_catalog,
    flatten_state,
    get_kind,
    list_kinds,
)

# Tried in turn, because a kind may require even sizes, or equal ones.
_SIZES = ((10, 20), (8, 8), (16, 16), (32, 32), (64, 64))
# No sum, multiple or difference of them is one of them, so that a shape shows what it is made of.
_UNAMBIGUOUS_SIZES = {"input_size": 7, "hidden_size": 16}


@dataclass(frozen=True)
class CardContext:
    """A kind, with the specs and models of it that its card describes.

    Attributes:
        name: canonical name.
        record: record of the kind.
        distribution: distribution that provides it; `local` for a kind of this process.
    """

    name: str
    record: Kind
    distribution: str

    @classmethod
    def of(cls, kind: str) -> CardContext:
        """The context of a kind.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: the kind is not available.
        """
        record, catalog = get_kind(kind), current_catalog()
        return cls(catalog.canonical(kind), record, catalog.distribution(kind))

    def spec(self, **fields: Any) -> RecurrentSpec[Any]:
        """A spec with the given fields, at the first sizes that the kind accepts.

        Raises:
            ValidationError: the kind rejects the fields at all sizes.
        """
        errors = []
        for input_size, hidden_size in _SIZES:
            sizes = {"input_size": input_size, "hidden_size": hidden_size}
            try:
                return RecurrentSpec.from_dict({"kind": self.name, **sizes, **fields})
            except ValidationError as error:
                errors.append(error)
        raise errors[0]

    def accepts(self, **fields: Any) -> bool:
        """True if there is a spec with the given fields."""
        try:
            self.spec(**fields)
        except ValidationError:
            return False
        return True

    def model(self, **fields: Any) -> RecurrentModel:
        """The model of `spec(**fields)`, in evaluation mode."""
        return build_model(self.spec(**fields)).eval()

    @cached_property
    def layer(self) -> RecurrentModel:
        """A model of one layer, in whose shapes each size is different."""
        sizes = _UNAMBIGUOUS_SIZES if self.accepts(**_UNAMBIGUOUS_SIZES) else {}
        return self.model(num_layers=1, **sizes)

    @property
    def step_module(self) -> Any:
        """The module that computes one step of the first layer: a cell, or the backbone if it is not a cell stack."""
        backbone: Any = self.layer.backbone
        return backbone.cells[0] if self.cells else backbone

    @cached_property
    def cells(self) -> list[Any]:
        """The cells of a model of two layers; empty if the backbone is not a cell stack."""
        backbone = self.model(num_layers=2).backbone if self.accepts(num_layers=2) else self.layer.backbone
        return list(backbone.cells) if isinstance(backbone, CellStack) else []

    @cached_property
    def cell_kinds(self) -> list[str]:
        """The kind of each layer's cell, from the bottom up, where the same distribution has a kind for it."""
        catalog = current_catalog()
        names = [name for name in list_kinds() if catalog.distribution(name) == self.distribution]
        kinds = {get_kind(name).cell: name for name in names if name != self.name}
        return [kinds[type(cell)] for cell in self.cells if type(cell) in kinds]

    @property
    def has_fused_path(self) -> bool:
        """True if a cell has its own `unroll` or `unroll_layers`."""
        return any(
            type(cell).unroll is not Cell.unroll or type(cell).unroll_layers is not Cell.unroll_layers
            for cell in self.cells
        )

    @property
    def parallel_over_time(self) -> bool:
        """True if every cell computes all steps of a sequence at once."""
        return bool(self.cells) and all(cell.parallel_over_time for cell in self.cells)

    @cached_property
    def torch_module(self) -> str:
        """The recurrent module of torch that the backbone contains, as `torch.nn.LSTM`; empty: none."""
        found = [module for module in self.layer.backbone.modules() if isinstance(module, torch.nn.RNNBase)]
        return f"torch.nn.{type(found[0]).__name__}" if found else ""

    @cached_property
    def state_parts(self) -> dict[str, Tensor]:
        """The parts of the state of one sequence in one layer, by name without torch's `_n`."""
        state = flatten_state(self.layer.initial_state(1))
        return {path.rpartition(".")[2].removesuffix("_n"): part for path, part in state.items()}

    @property
    def shared_options(self) -> type[Options]:
        """The most specific class of rnnkit's own from which the kind's options inherit."""
        return next(base for base in (StackOptions, InitOptions, Options) if issubclass(self.record.options, base))
