"""Specs and models of a kind, to look at."""

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
    Kind,
    RecurrentModel,
    RecurrentSpec,
    build_model,
    current_catalog,
    get_kind,
    list_kinds,
)
from rnnkit.model import flatten_with_paths
from rnnkit.testing.kind_under_test import KindUnderTest

SIZES = {"input_size": 10, "hidden_size": 20}
# no sum, multiple or difference of them is one of them
TELLING_SIZES = {"input_size": 7, "hidden_size": 16}


@dataclass(frozen=True)
class Specimen:
    """A kind, with models of it that its page looks at.

    Attributes:
        name: its canonical name.
        record: its record.
        distribution: who provides it; `local`: this process.
    """

    name: str
    record: Kind
    distribution: str

    @classmethod
    def of(cls, kind: str) -> Specimen:
        """The kind of a name.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: the kind cannot be had.
        """
        record, catalog = get_kind(kind), current_catalog()
        return cls(catalog.canonical(kind), record, catalog.distribution(kind))

    def spec(self, **fields: Any) -> RecurrentSpec[Any]:
        """A spec with some fields, at the sizes of examples if the kind takes them, or others that it does take.

        Raises:
            ValidationError: the kind refuses the fields at any sizes.
        """
        try:
            return RecurrentSpec.from_dict({"kind": self.name, **SIZES, **fields})
        except ValidationError:
            return KindUnderTest(self.name).spec(**{"num_layers": 1, "output_size": None, **fields})

    def takes(self, **fields: Any) -> bool:
        """Whether there is such a spec."""
        try:
            self.spec(**fields)
        except (ValidationError, ValueError):
            return False
        return True

    def model(self, **fields: Any) -> RecurrentModel:
        """The model of such a spec, in evaluation."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return build_model(self.spec(**fields)).eval()

    @cached_property
    def layer(self) -> RecurrentModel:
        """A model of one layer, whose sizes tell from a shape what it is made of."""
        sizes = TELLING_SIZES if self.takes(**TELLING_SIZES) else {}
        return self.model(num_layers=1, **sizes)

    @cached_property
    def cells(self) -> list[Any]:
        """The cells of a model of two layers, if it is a stack of cells."""
        backbone = self.model(num_layers=2).backbone if self.takes(num_layers=2) else self.layer.backbone
        return list(backbone.cells) if isinstance(backbone, CellStack) else []

    @cached_property
    def kinds_of_cells(self) -> list[str]:
        """The kind that each layer's cell is of, from the bottom up, as far as the same distribution has such kinds."""
        catalog = current_catalog()
        names = [name for name in list_kinds() if catalog.distribution(name) == self.distribution]
        kinds = {get_kind(name).cell: name for name in names if name != self.name}
        return [kinds[type(cell)] for cell in self.cells if type(cell) in kinds]

    @property
    def has_fast_way(self) -> bool:
        """Whether a cell has a way of its own through whole sequences."""
        return any(
            type(cell).unroll is not Cell.unroll or type(cell).unroll_layers is not Cell.unroll_layers
            for cell in self.cells
        )

    @cached_property
    def torch_module(self) -> str:
        """The recurrent module of torch that it is built on, as `torch.nn.LSTM`; empty: it is built on none."""
        found = [module for module in self.layer.backbone.modules() if isinstance(module, torch.nn.RNNBase)]
        return f"torch.nn.{type(found[0]).__name__}" if found else ""

    @cached_property
    def state_parts(self) -> dict[str, Tensor]:
        """The parts of the state of one row of one layer, by their names without torch's `_n`."""
        state = self.layer.initial_state(1)
        return {path.rpartition(".")[2].removesuffix("_n"): part for path, part in flatten_with_paths(state)}

    @property
    def takes_directions(self) -> bool:
        """Whether it can be both ways."""
        return self.takes(bidirectional=True)
