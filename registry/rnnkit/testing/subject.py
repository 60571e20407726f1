"""The kind that is tested: specs of it that it takes, small ones, and everything that it lets one choose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from pydantic import ValidationError

from rnnkit import Kind, RecurrentModel, RecurrentSpec, StackOptions, build_model, current_catalog, get_kind
from rnnkit.options import own_fields
from rnnkit.testing.option_values import other_values

Changes = Mapping[str, Any]

# Tried in turn, since a kind may ask for even sizes, equal sizes or sizes that heads divide. In the first no two axes
# of anything have one size.
_SIZES = [(3, 6), (4, 8), (8, 8), (16, 16), (32, 32), (64, 64)]
_LAYERS = 2
_MOST_OPTIONS = 8  # variants of a kind's own options that every promise is put to


class Subject:
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
        found = [
            {"options": {name: value}}
            for name, values in other_values(self.record.options).items()
            for value in values
            if name in own
        ]
        taken = [each for each in found if self.takes(**each)][:_MOST_OPTIONS]
        given = [{"options": dict(each)} for each in self._options]
        return [{}, {"bias": False}, *_of_cells(self.record), *taken, *given]

    @property
    def is_stack(self) -> bool:
        """Whether it is a stack of cells."""
        return hasattr(self._on_meta.backbone, "cells")

    @cached_property
    def _on_meta(self) -> RecurrentModel:
        return build_model(self.spec(), device=torch.device("meta"))

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
    from rnnkit import InitOptions, Options

    return next(base for base in (StackOptions, InitOptions, Options) if issubclass(kind.options, base))


def _of_cells(kind: Kind) -> list[Changes]:
    """Options of stacks that the cells themselves carry out."""
    return [{"options": {"layer_norm": "gates"}}] if issubclass(kind.options, StackOptions) else []
