"""The kind that is tested: specs of it that it takes, small ones, and everything that it lets one choose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from pydantic import ValidationError

from rnnkit import (
    Cell,
    InitOptions,
    Kind,
    Options,
    RecurrentModel,
    RecurrentSpec,
    StackOptions,
    build_model,
    current_catalog,
    get_kind,
)
from rnnkit.catalog import LOCAL, canonical
from rnnkit.cells import constructor_parameters
from rnnkit.options import own_fields
from rnnkit.testing.sample_values import in_turn, is_choice, sample_option_values

Changes = Mapping[str, Any]

# Tried in turn, since a kind may ask for even sizes, equal sizes or sizes that heads divide. In the first no two axes
# of anything have one size.
_SIZES = [(3, 6), (4, 8), (8, 8), (16, 16), (32, 32), (64, 64)]
_LAYERS = 2
_MOST_OPTIONS = 8  # variants of a kind's own options that every promise is put to
_MOST_NUMBERS = 2  # of them for one option


class KindUnderTest:
    """A kind under test.

    Args:
        kind: its name.
        fields: fields of every spec that is made of it, where the kit's own do not do.
        options: more options to put every promise to, beside the defaults and what the kit finds itself.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: the kind cannot be had.
        ValueError: the kind takes no spec that the kit tries.
    """

    def __init__(self, kind: str, *, fields: Changes | None = None, options: Sequence[Changes] = ()) -> None:
        self.record: Kind = get_kind(kind)
        self.name = current_catalog().canonical(kind)
        self._given = dict(fields or {})
        self._options = list(options)
        self._base = self._found_sizes()

    def spec(self, **changes: Any) -> RecurrentSpec[Any]:
        """A small spec of two layers, with some fields changed.

        Raises:
            ValidationError: the kind refuses it.
        """
        fields = {**self._base, **changes}
        fields["options"] = {**self._base.get("options", {}), **changes.get("options", {})}
        return RecurrentSpec.from_dict({"kind": self.name, **fields})

    def takes(self, **changes: Any) -> bool:
        """Whether the kind takes a spec with these fields changed."""
        return self.refusal(**changes) is None

    def refusal(self, **changes: Any) -> str | None:
        """What the kind says where it refuses a spec with these fields changed; None: it takes it."""
        try:
            self.spec(**changes)
        except ValidationError as error:
            return "; ".join(
                f"{'.'.join(map(str, line['loc']))}={line['input']!r}: {line['msg']}" for line in error.errors()
            )
        return None

    @cached_property
    def variants(self) -> list[Changes]:
        """What one may choose of a kind beside sizes and directions, and what its author wants tried."""
        own = own_fields(self.record.options(), _base_of(self.record))
        few = islice(in_turn(self._values_of(own)), _MOST_OPTIONS)
        return [{}, {"bias": False}, *self._options_of_cells, *few, *self.given_options]

    @cached_property
    def stack_options(self) -> list[Changes]:
        """Other values of each option that all stacks of cells have; empty for a kind that is no such stack."""
        if not issubclass(self.record.options, StackOptions):
            return []
        return [each for values in self._values_of(own_fields(StackOptions(), Options)) for each in values]

    @property
    def _options_of_cells(self) -> list[Changes]:
        """Those options of all stacks that are handed to the cells, which carry them out themselves."""
        cells: Any = self.model.backbone.cells if self.is_stack else ()
        taken = {name for cell in cells for name in constructor_parameters(type(cell))}
        return [each for each in self.stack_options if taken.issuperset(each["options"])]

    def _values_of(self, options: Iterable[str]) -> list[list[Changes]]:
        """For each of some options, a few other values that the kind takes."""
        values = sample_option_values(self.record.options)
        return [self._few([{"options": {name: value}} for value in values[name]]) for name in options]

    @property
    def given_options(self) -> list[Changes]:
        """The options that its author wants tried."""
        return [{"options": dict(each)} for each in self._options]

    def _few(self, changes: list[Changes]) -> list[Changes]:
        """Those changes of one option that the kind takes: all of a choice, and few of numbers."""
        taken = [each for each in changes if self.takes(**each)]
        choices = [each for each in taken if all(map(is_choice, each["options"].values()))]
        return choices + [each for each in taken if each not in choices][:_MOST_NUMBERS]

    @property
    def is_local(self) -> bool:
        """Whether this process alone knows it."""
        return self.name == canonical(LOCAL, self.record.name)

    @property
    def is_stack(self) -> bool:
        """Whether it is a stack of cells."""
        return hasattr(self.model.backbone, "cells")

    @property
    def has_executor(self) -> bool:
        """Whether it is a stack of which a cell has an `unroll` or `unroll_layers` of its own."""
        cells: Any = self.model.backbone.cells if self.is_stack else ()
        return any(
            type(cell).unroll is not Cell.unroll or type(cell).unroll_layers is not Cell.unroll_layers for cell in cells
        )

    @property
    def step_loop_choices(self) -> tuple[bool, ...]:
        """The values of `backbone.force_step_loop` that mean something else: both, if there is a fast way."""
        return (False, True) if self.has_executor else (False,)

    @property
    def one_layer(self) -> Changes:
        """What makes it a single layer."""
        return {"num_layers": 1, "hidden_size": self.spec().hidden_sizes[0], "dropout": 0.0}

    @property
    def sizes_per_layer(self) -> list[Changes]:
        """What gives each of two layers a size of its own; empty: the kind has one size for all."""
        size = self.spec().hidden_sizes[0]
        return [{"num_layers": 2, "hidden_size": (size, 2 * size)}] if self.record.sizes_per_layer else []

    @cached_property
    def model(self) -> RecurrentModel:
        """A model of it, to look at."""
        return build_model(self.spec())

    def _found_sizes(self) -> dict[str, Any]:
        refusals = []
        for fields in self._candidates():
            self._base = {**fields, **self._given}
            refusal = self.refusal()
            if refusal is None:
                return self._base
            refusals.append(refusal)
        raise ValueError(
            f"The kind {self.name!r} takes none of the specs that the kit tries: {refusals[0]}. Give fields that it "
            "takes, as spec={'hidden_size': 12}"
        )

    def _candidates(self) -> Iterator[dict[str, Any]]:
        for num_layers in (_LAYERS, 1):
            for input_size, hidden_size in _SIZES:
                yield {
                    "input_size": input_size,
                    "hidden_size": hidden_size,
                    "output_size": 2,
                    "num_layers": num_layers,
                }


def _base_of(kind: Kind) -> type[Any]:
    """The class of options that are rnnkit's own business, not the kind's."""
    return next(base for base in (StackOptions, InitOptions, Options) if issubclass(kind.options, base))
