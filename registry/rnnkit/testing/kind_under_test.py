"""The kind under test: small specs that it accepts, and the choices that it offers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, reduce
from itertools import cycle, islice, product
from typing import Any

import torch
from pydantic import ValidationError

from rnnkit import (
    Cell,
    CellStack,
    InitOptions,
    Options,
    RecurrentModel,
    RecurrentSpec,
    StackOptions,
    build_model,
    get_kind,
)
from rnnkit._messages import dotted, end_sentence, join_names, short_repr
from rnnkit._random_numbers import LocalRandomNumbers
from rnnkit.catalog import LOCAL, canonical, current_catalog
from rnnkit.cells import cell_arguments
from rnnkit.options import own_fields, per_layer_fields
from rnnkit.testing._raised_at import describe_raised
from rnnkit.testing.sample_values import interleave, is_choice, sample_option_values

Changes = Mapping[str, Any]

# Tried in turn: a kind may need even sizes, equal sizes or a multiple of its number of heads. The first sizes differ,
# which shows interchanged axes.
_SIZES = [(3, 6), (4, 8), (8, 8), (16, 16), (32, 32), (64, 64)]
_MAX_VARIANTS = 8  # of the kind's own options, which every check runs with
_BATCH, _TIME = 2, 3  # of an input that shows whether a spec can be built and run
_MAX_NUMBERS = 2  # values of one numeric option
_TOKENS = "The checks test the recurrent network, whose input is (batch, time, input_size), not the embedding of tokens"
_NOT_IN_SPEC = {  # a field of every spec that the kit sets or does not support, and the reason
    "kind": "The kind under test is the argument `kind`",
    **dict.fromkeys(("num_embeddings", "padding_idx", "tie_weights"), _TOKENS),
}


class KindUnderTest:
    """A kind under test; arguments and errors are those of `check_kind`, where `fields` is `spec`."""

    def __init__(
        self,
        kind: str,
        *,
        fields: Changes | None = None,
        options: Changes | Sequence[Changes] = (),
        seed: int = 0,
    ) -> None:
        self.record = get_kind(kind)
        self.name = current_catalog().canonical(kind)
        self.seed = seed
        several = [options] if isinstance(options, Mapping) else options
        self.given_options: list[Changes] = [{"options": dict(each)} for each in several]
        self._broken: dict[str, str] = {}
        self._base: Changes = {}
        self._base = self._find_base(_supported(fields or {}))
        for each in self.given_options:
            if problem := self.problem(**each):
                raise ValueError(f"Kind {self.name!r} rejects the options to run every check with: {problem}")

    def spec(self, **changes: Any) -> RecurrentSpec[Any]:
        """A small spec of two layers, with some fields changed; raises ValidationError if the kind rejects it."""
        fields = {**self._base, **changes}
        fields["options"] = {**self._base.get("options", {}), **changes.get("options", {})}
        return RecurrentSpec.from_dict({"kind": self.name, **fields})

    def accepts(self, **changes: Any) -> bool:
        return self.problem(**changes) is None

    def problem(self, **changes: Any) -> str | None:
        """The validation error of a spec with these fields changed, in one line; None if it is valid."""
        try:
            self.spec(**changes)
        except ValidationError as error:
            lines = (f"{dotted(line['loc'])}={short_repr(line['input'])}: {line['msg']}" for line in error.errors())
            return join_names(lines, "; ")
        return None

    @property
    def broken(self) -> dict[str, str]:
        """For each field with a value that the kind accepts but that cannot be built and run: the value, and why."""
        _ = self.variants  # tries the values
        return self._broken

    def _runs(self, field: str, **changes: Any) -> bool:
        """Whether a model with these changes can be built and run; if not, `broken` has the error, of the field."""
        spec = self.spec(**changes)
        try:
            with LocalRandomNumbers(), torch.no_grad():
                build_model(spec).backbone(torch.zeros(_BATCH, _TIME, spec.input_size))
        except Exception as error:  # noqa: BLE001  # any exception of the kind is a finding
            self._broken.setdefault(field, f"{describe_changes(changes)} raised {describe_raised(error)}")
            return False
        return True

    @cached_property
    def option_values(self) -> dict[str, list[Any]]:
        """`sample_option_values`, without values that are accepted but cannot be built: one check reports them."""
        found = sample_option_values(self.record.options)
        return {name: [value for value in values if self._is_sound(name, value)] for name, values in found.items()}

    def _is_sound(self, option: str, value: Any) -> bool:
        """Whether an option may have a value, alone or with values of other options."""
        changes = {"options": {option: value}}
        return not self.accepts(**changes) or self._runs(f"options.{option}", **changes)

    @cached_property
    def variants(self) -> list[Changes]:
        """Changes of a spec that most checks run with: options of the kind, and those that the caller gave."""
        some = islice(interleave(self._values_of(self.own_options)), _MAX_VARIANTS)
        without_bias = [{"bias": False}] if not self.accepts(bias=False) or self._runs("bias", bias=False) else []
        return [{}, *without_bias, *self._cell_options, *some, *self.given_options]

    @property
    def own_options(self) -> list[str]:
        """The options that only this kind has."""
        base = next(each for each in (StackOptions, InitOptions, Options) if issubclass(self.record.options, each))
        return [*own_fields(self.record.options(), base)]

    @cached_property
    def stack_options(self) -> list[Changes]:
        """Values of each option that all stacks of cells have; empty if the kind is not a stack."""
        if not issubclass(self.record.options, StackOptions):
            return []
        return [each for values in self._values_of(own_fields(StackOptions(), Options)) for each in values]

    @property
    def _cell_options(self) -> list[Changes]:
        """The options of stacks that change the arguments of the cells, which implement them themselves."""

        def arguments(**changes: Any) -> list[dict[str, Any]]:
            return [cell_arguments(cell, self.spec(**changes)) for cell in self._cells]

        defaults = arguments()
        return [each for each in self.stack_options if arguments(**each) != defaults]

    def _values_of(self, options: Iterable[str]) -> list[list[Changes]]:
        """For each option, the values that the kind accepts: all choices, and a few numbers."""
        values, found = self.option_values, list[list[Changes]]()
        for name in options:
            accepted = [value for value in values[name] if self.accepts(options={name: value})]
            numbers = [value for value in accepted if not is_choice(value)][:_MAX_NUMBERS]
            values_of_layers = self._differing_layers(name, accepted)
            tried = [*values_of_layers, *filter(is_choice, accepted), *numbers]
            found.append([{"options": {name: value}} for value in tried])
        return found

    def _differing_layers(self, name: str, values: Iterable[Any]) -> list[tuple[Any, ...]]:
        """For an option that is `PerLayer`, a value with which neighbouring layers differ."""
        if name not in per_layer_fields(self.record.options):
            return []
        single = [getattr(self.record.options(), name), *(each for each in values if not isinstance(each, tuple))]
        each = tuple(islice(cycle(single), self.spec().num_layers))
        return [each] if len(set(each)) > 1 and self.accepts(options={name: each}) else []

    @property
    def is_local(self) -> bool:
        """Whether it is registered in this process only."""
        return self.name == canonical(LOCAL, self.record.name)

    @property
    def is_stack(self) -> bool:
        return isinstance(self.model.backbone, CellStack)

    @property
    def runs_cell_by_cell(self) -> bool:
        """Whether it is a stack whose cells run one after another: all layers and directions run the same code."""
        return self.is_stack and all(cell.unroll_layers is Cell.unroll_layers for cell in self._cells)

    @property
    def has_fused_path(self) -> bool:
        """Whether a cell overrides `unroll` or `unroll_layers`."""
        fused = (Cell.unroll, Cell.unroll_layers)
        return any((cell.unroll, cell.unroll_layers) != fused for cell in self._cells)

    @property
    def _cells(self) -> set[type[Cell]]:
        backbone: Any = self.model.backbone
        return {type(cell) for cell in backbone.cells} if self.is_stack else set()

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
        return build_model(self.spec())

    def _find_base(self, given: Changes) -> Changes:
        """The first fields that the kind accepts."""
        problems, accepted = list[str](), list[Changes]()
        for layers, (inputs, hidden) in product((2, 1), _SIZES):
            base = {"input_size": inputs, "hidden_size": hidden, "output_size": 2, "num_layers": layers, **given}
            problem = self.problem(**base)
            if problem is None:
                accepted.append(base)
                if self._runs("hidden_size", **base):
                    return base
            else:
                problems.append(problem)
        if accepted:
            return accepted[0]
        raise ValueError(
            f"Kind {self.name!r} accepts none of the specs that the kit tries: {end_sentence(problems[0])} Give fields "
            "that it accepts, such as spec={'hidden_size': 12}"
        )


def _supported(fields: Changes) -> Changes:
    for name, reason in _NOT_IN_SPEC.items():
        if name in fields:
            raise ValueError(f"spec must not set {name!r}, but sets it to {fields[name]!r}. {reason}")
    return fields


def describe_changes(changes: Changes) -> str:
    given = {name: value for name, value in changes.items() if name != "options"}
    given |= {f"options.{name}": value for name, value in changes.get("options", {}).items()}
    return ", ".join(f"{name}={value!r}" for name, value in given.items())


def is_importable(cls: type) -> bool:
    """Whether pickle can find the class: its module has it under its qualified name."""
    names, module = cls.__qualname__.split("."), sys.modules.get(cls.__module__)
    found: object = reduce(lambda found, name: getattr(found, name, None), names, module)
    return found is cls
