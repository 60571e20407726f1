"""The kind under test: small specs that it accepts, and the choices that it offers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
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
from rnnkit.cells import cell_arguments
from rnnkit.options import own_fields
from rnnkit.testing.sample_values import interleave, is_choice, sample_option_values

Changes = Mapping[str, Any]

# Tried in turn: a kind may need even sizes, equal sizes or a multiple of its number of heads. The first sizes differ,
# which shows interchanged axes.
_SIZES = [(3, 6), (4, 8), (8, 8), (16, 16), (32, 32), (64, 64)]
_LAYERS = 2
_MAX_VARIANTS = 8  # of the kind's own options, which every check runs with
_MAX_NUMBERS = 2  # values of one numeric option


class KindUnderTest:
    """A kind under test.

    Args:
        kind: its name.
        fields: fields of every spec, for kinds that do not accept the kit's own.
        options: options to run every check with, in addition to those that the kit finds.
        seed: the seed of the sizes that are drawn at random.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: the kind is not available.
        ValueError: the kind accepts no spec that the kit tries.
    """

    def __init__(
        self, kind: str, *, fields: Changes | None = None, options: Sequence[Changes] = (), seed: int = 0
    ) -> None:
        self.record: Kind = get_kind(kind)
        self.name = current_catalog().canonical(kind)
        self.seed = seed
        self._given = dict(fields or {})
        self._options = list(options)
        self._base = self._find_sizes()

    def spec(self, **changes: Any) -> RecurrentSpec[Any]:
        """A small spec of two layers, with some fields changed.

        Raises:
            ValidationError: the kind rejects it.
        """
        fields = {**self._base, **changes}
        fields["options"] = {**self._base.get("options", {}), **changes.get("options", {})}
        return RecurrentSpec.from_dict({"kind": self.name, **fields})

    def accepts(self, **changes: Any) -> bool:
        """Whether the kind accepts a spec with these fields changed."""
        return self.problem(**changes) is None

    def problem(self, **changes: Any) -> str | None:
        """The validation error of a spec with these fields changed, in one line; None if it is valid."""
        try:
            self.spec(**changes)
        except ValidationError as error:
            return "; ".join(
                f"{'.'.join(map(str, line['loc']))}={line['input']!r}: {line['msg']}" for line in error.errors()
            )
        return None

    @cached_property
    def variants(self) -> list[Changes]:
        """Changes of a spec that most checks run with: options of the kind, and those that the caller gave."""
        own = own_fields(self.record.options(), _base_of(self.record))
        some = islice(interleave(self._values_of(own)), _MAX_VARIANTS)
        return [{}, {"bias": False}, *self._cell_options, *some, *self.given_options]

    @cached_property
    def stack_options(self) -> list[Changes]:
        """Values of each option that all stacks of cells have; empty if the kind is not a stack."""
        if not issubclass(self.record.options, StackOptions):
            return []
        return [each for values in self._values_of(own_fields(StackOptions(), Options)) for each in values]

    @property
    def _cell_options(self) -> list[Changes]:
        """The options of stacks that change the arguments of the cells, which implement them themselves."""
        cells: Any = self.model.backbone.cells if self.is_stack else ()

        def arguments(**changes: Any) -> list[dict[str, Any]]:
            return [cell_arguments(cell, self.spec(**changes)) for cell in {type(cell) for cell in cells}]

        defaults = arguments()
        return [each for each in self.stack_options if arguments(**each) != defaults]

    def _values_of(self, options: Iterable[str]) -> list[list[Changes]]:
        """For each option, a few values that the kind accepts."""
        values = sample_option_values(self.record.options)
        return [self._accepted_few([{"options": {name: value}} for value in values[name]]) for name in options]

    @property
    def given_options(self) -> list[Changes]:
        """The options that the caller gave."""
        return [{"options": dict(each)} for each in self._options]

    def _accepted_few(self, changes: list[Changes]) -> list[Changes]:
        """The values of one option that the kind accepts: all choices, and a few numbers."""
        accepted = [each for each in changes if self.accepts(**each)]
        choices = [each for each in accepted if all(map(is_choice, each["options"].values()))]
        return choices + [each for each in accepted if each not in choices][:_MAX_NUMBERS]

    @property
    def is_local(self) -> bool:
        """Whether it is registered in this process only."""
        return self.name == canonical(LOCAL, self.record.name)

    @property
    def is_stack(self) -> bool:
        """Whether its backbone is a stack of cells."""
        return hasattr(self.model.backbone, "cells")

    @property
    def has_fused_path(self) -> bool:
        """Whether a cell overrides `unroll` or `unroll_layers`."""
        cells: Any = self.model.backbone.cells if self.is_stack else ()
        return any(
            type(cell).unroll is not Cell.unroll or type(cell).unroll_layers is not Cell.unroll_layers for cell in cells
        )

    @property
    def force_step_loop_values(self) -> tuple[bool, ...]:
        """The values of `backbone.force_step_loop` to try: both, if there is a fused path."""
        return (False, True) if self.has_fused_path else (False,)

    @property
    def one_layer(self) -> Changes:
        """The changes that give a single layer."""
        return {"num_layers": 1, "hidden_size": self.spec().hidden_sizes[0], "dropout": 0.0}

    @property
    def sizes_per_layer(self) -> list[Changes]:
        """The changes that give two layers of different size; empty if the kind does not support them."""
        size = self.spec().hidden_sizes[0]
        return [{"num_layers": 2, "hidden_size": (size, 2 * size)}] if self.record.sizes_per_layer else []

    @cached_property
    def model(self) -> RecurrentModel:
        """A model to inspect."""
        return build_model(self.spec())

    def _find_sizes(self) -> dict[str, Any]:
        problems = []
        for fields in self._candidates():
            self._base = {**fields, **self._given}
            problem = self.problem()
            if problem is None:
                return self._base
            problems.append(problem)
        raise ValueError(
            f"Kind {self.name!r} accepts none of the specs that the kit tries: {problems[0]}. Give fields that it "
            "accepts, such as spec={'hidden_size': 12}"
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


def is_importable(cls: type) -> bool:
    """Whether pickle can find the class: its module has it under its qualified name."""
    try:
        found: object = reduce(getattr, cls.__qualname__.split("."), sys.modules[cls.__module__])
    except (AttributeError, KeyError):
        return False
    return found is cls


def _base_of(kind: Kind) -> type[Any]:
    """The base class of the kind's options that belongs to rnnkit."""
    return next(base for base in (StackOptions, InitOptions, Options) if issubclass(kind.options, base))
