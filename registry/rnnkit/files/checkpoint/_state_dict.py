"""The tensors of a model: which ones a file can hold, which ones are tied, and whether they fit a spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rnnkit._messages import describe_exception
from rnnkit.build import build_model
from rnnkit.errors import BuildError, RnnkitError
from rnnkit.files._problems import dotted
from rnnkit.files.checkpoint._format import DTYPES
from rnnkit.model import RecurrentModel
from rnnkit.specs import RecurrentSpec

_STORABLE_DTYPES = {getattr(torch, name) for name in DTYPES.values()}


# Before saving


def find_unstorable(tensors: Mapping[str, Any]) -> list[str]:
    """Return a message for each entry of a `state_dict` that a file cannot hold."""
    problems = {name: _storage_problem(tensor) for name, tensor in tensors.items()}
    return [f"{name} {problem}" for name, problem in problems.items() if problem]


def tensors_to_store(tensors: Mapping[str, Tensor], tied: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the untied tensors on the CPU, contiguous, each with its own memory."""
    copied = _sharing_memory(tensors)
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        if name in copied
        else tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if name not in tied
    }


def most_common_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """Return the most common floating-point or complex dtype; torch's default if there is none."""
    dtypes = (tensor.dtype for tensor in tensors.values())
    counts = Counter(dtype for dtype in dtypes if dtype.is_floating_point or dtype.is_complex)
    return counts.most_common(1)[0][0] if counts else torch.get_default_dtype()


def _storage_problem(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"is a {type(value).__name__}, not a tensor"
    if is_lazy(value):
        return "is not initialized yet: run the model once"
    if type(value.detach()) is not Tensor or value.layout != torch.strided:
        return f"is a {type(value.detach()).__name__} with layout {value.layout}, not a dense torch.Tensor"
    if value.is_meta:
        return "is on the meta device and has no values"
    return "" if value.dtype in _STORABLE_DTYPES else f"has dtype {value.dtype}, which safetensors does not support"


# Tied tensors


def find_ties(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Map each name of a tensor that already has another name to that name.

    Args:
        tensors: parameters and buffers, from `state_dict(keep_vars=True)`.
    """
    first: dict[object, str] = {}
    return {
        name: kept for name, tensor in tensors.items() if (kept := first.setdefault(_identity(tensor), name)) != name
    }


def tie(model: nn.Module, tied: Mapping[str, str]) -> None:
    """Tie the tensors that `find_ties` found to be tied."""
    tensors = model.state_dict(keep_vars=True)
    for name, kept in tied.items():
        if type(tensors[name]) is type(tensors[kept]):  # a parameter cannot take the place of a buffer
            owner, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(owner), attribute, tensors[kept])


def _sharing_memory(tensors: Mapping[str, Tensor]) -> set[str]:
    """Names of the tensors that share their storage with another."""
    owners: dict[object, list[str]] = {}
    for name, tensor in tensors.items():
        owners.setdefault(_storage(tensor), []).append(name)
    return {name for names in owners.values() if len(names) > 1 for name in names}


def _identity(tensor: Tensor) -> object:
    """A key that is equal for tied tensors. A parameter and a buffer are never tied."""
    is_parameter = isinstance(tensor, nn.Parameter)
    return _storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype, is_parameter


def _storage(tensor: Tensor) -> object:
    return tensor.untyped_storage()._cdata  # noqa: SLF001  # on the meta device all data pointers are 0


# Whether tensors fit a spec


@dataclass(frozen=True)
class TensorInfo:
    """Shape and dtype of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.shape} of {str(self.dtype).removeprefix('torch.')}"


@dataclass(frozen=True)
class StateInfo:
    """The tensors of a model without their values.

    Attributes:
        tensors: shape and dtype of each tensor.
        tied: for each tied tensor, the name of the other.
    """

    tensors: Mapping[str, TensorInfo]
    tied: Mapping[str, str]


def state_info(tensors: Mapping[str, Tensor]) -> StateInfo:
    """Describe the tensors from `state_dict(keep_vars=True)`."""
    infos = {name: TensorInfo(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    return StateInfo(infos, find_ties(tensors))


def meta_model(spec: RecurrentSpec[Any], dtype: torch.dtype) -> RecurrentModel:
    """Build the model of a spec on the meta device, without drawing random numbers.

    Raises:
        BuildError: the builder fails.
        RnnkitError: as from `build_model`.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            return build_model(spec, device="meta", dtype=dtype)
    except RnnkitError:
        raise
    except Exception as error:  # a builder may raise anything for sizes that no model has
        cause = "; ".join([describe_exception(error), *getattr(error, "__notes__", [])])  # notes name a failing hook
        raise BuildError(f"No model can be built on the meta device from {spec!r}: {cause}") from error


def find_mismatches(expected: StateInfo, found: StateInfo) -> list[str]:
    """Return a message for each tensor that does not fit a model. Any floating-point dtype fits any other."""
    return [
        *_name_mismatches(expected.tensors, found.tensors),
        *_shape_mismatches(expected.tensors, found.tensors),
        *_tie_mismatches(expected.tied, found.tied),
    ]


def _name_mismatches(expected: Mapping[str, TensorInfo], found: Mapping[str, TensorInfo]) -> Iterator[str]:
    for name in (name for name in expected if name not in found):
        yield f"{name} is missing: {expected[name]}"
    for name in (name for name in found if name not in expected):
        yield f"{dotted([name])} is unexpected: {found[name]}"


def _shape_mismatches(expected: Mapping[str, TensorInfo], found: Mapping[str, TensorInfo]) -> Iterator[str]:
    for name, wanted in expected.items():
        info = found.get(name, wanted)
        if info.shape != wanted.shape or _category(info.dtype) != _category(wanted.dtype):
            yield f"{name} is {info}, expected {wanted}"


def _tie_mismatches(expected: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for name, kept in expected.items():
        if found.get(name, name) != found.get(kept, kept):
            yield f"{name} is a separate tensor, expected to be tied to {kept}"


def _category(dtype: torch.dtype) -> object:
    return "floating" if dtype.is_floating_point else "complex" if dtype.is_complex else dtype
