"""Whether tensors are those of a model that a spec describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnkit._messages import describe_exception
from rnnkit.build import build_model
from rnnkit.errors import BuildError, RnnkitError
from rnnkit.files.checkpoint.tied import ties
from rnnkit.files.problem import dotted
from rnnkit.model import RecurrentModel
from rnnkit.specs import RecurrentSpec


@dataclass(frozen=True)
class Slots:
    """The tensors of a model without their values.

    Attributes:
        tensors: the shape and dtype under each name.
        tied: the names of tensors that are one with another, and the name of that.
    """

    tensors: Mapping[str, Slot]
    tied: Mapping[str, str]


@dataclass(frozen=True)
class Slot:
    """A tensor without its values."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.shape} of {str(self.dtype).removeprefix('torch.')}"


def slots_of(tensors: Mapping[str, Tensor]) -> Slots:
    """The tensors of a model, as `state_dict(keep_vars=True)` gives them."""
    return Slots({name: Slot(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}, ties(tensors))


def model_on_meta(spec: RecurrentSpec[Any], dtype: torch.dtype) -> RecurrentModel:
    """The model of a spec without memory for its tensors, and without a random number drawn.

    Raises:
        BuildError: it cannot be built.
        RnnkitError: as from `build_model`.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            return build_model(spec, device="meta", dtype=dtype)
    except RnnkitError:
        raise
    except Exception as error:  # what a builder makes of numbers that no model has, is up to its kind
        cause = "; ".join([describe_exception(error), *getattr(error, "__notes__", [])])  # whose hook it was
        raise BuildError(f"No model can be built on the meta device from {spec!r}: {cause}") from error


def misfits(expected: Slots, found: Slots) -> list[str]:
    """What sets tensors apart from those of a spec's model. A floating dtype may stand for another."""
    return [*_other_names(expected.tensors, found.tensors), *_other_forms(expected, found), *_untied(expected, found)]


def _other_names(expected: Mapping[str, Slot], found: Mapping[str, Slot]) -> Iterator[str]:
    for name in (name for name in expected if name not in found):
        yield f"{name} is missing: {expected[name]}"
    for name in (name for name in found if name not in expected):
        yield f"{dotted([name])} is not expected: {found[name]}"


def _other_forms(expected: Slots, found: Slots) -> Iterator[str]:
    for name, wanted in expected.tensors.items():
        slot = found.tensors.get(name, wanted)
        if slot.shape != wanted.shape or _category(slot.dtype) != _category(wanted.dtype):
            yield f"{name} is {slot}, expected {wanted}"


def _untied(expected: Slots, found: Slots) -> Iterator[str]:
    """One tensor cannot take the values of two."""
    for name, kept in expected.tied.items():
        if found.tied.get(name, name) != found.tied.get(kept, kept):
            yield f"{name} is a tensor of its own, expected the same as {kept}"


def _category(dtype: torch.dtype) -> object:
    return "floating" if dtype.is_floating_point else "complex" if dtype.is_complex else dtype
