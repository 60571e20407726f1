"""Tensors of a model that are one and the same under several names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


def ties(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Each name of a tensor that has come before under another name, and that name.

    Args:
        tensors: parameters and buffers themselves, as `state_dict(keep_vars=True)` gives them.
    """
    first: dict[object, str] = {}
    return {
        name: kept for name, tensor in tensors.items() if (kept := first.setdefault(_identity(tensor), name)) != name
    }


def tie(model: nn.Module, tied: Mapping[str, str]) -> None:
    """Make one tensor of those that `ties` has found to be one; no matter where they are already."""
    tensors = model.state_dict(keep_vars=True)
    for name, kept in tied.items():
        if type(tensors[name]) is type(tensors[kept]):  # a parameter in the place of a buffer would be another model
            owner, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(owner), attribute, tensors[kept])


def shares_memory(tensors: Mapping[str, Tensor]) -> set[str]:
    """The names of the tensors that have a part of their memory in common with others, or may have."""
    owners: dict[object, list[str]] = {}
    for name, tensor in tensors.items():
        owners.setdefault(_storage(tensor), []).append(name)
    return {name for names in owners.values() if len(names) > 1 for name in names}


def _identity(tensor: Tensor) -> object:
    """Equal for tensors that are one. A parameter and a buffer cannot become one again."""
    kind = isinstance(tensor, nn.Parameter)
    return _storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype, kind


def _storage(tensor: Tensor) -> object:
    return tensor.untyped_storage()._cdata  # noqa: SLF001  # also on the meta device, where all data pointers are 0
