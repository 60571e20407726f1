"""The tensors of a model: which ones a file can hold, which ones are tied, and whether they fit a spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rnnkit._messages import dotted
from rnnkit.files.checkpoint._format import DTYPES
from rnnkit.model import RecurrentModel

_FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)
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
    """Return the most common floating-point dtype; torch's default if there is none.

    Except for float8, since torch cannot initialize parameters in it.
    """
    dtypes = (tensor.dtype for tensor in tensors.values() if tensor.dtype.itemsize > 1)
    counts = Counter(dtype for dtype in dtypes if dtype.is_floating_point)
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


# Torch's own functions for whole models take time that grows with the square of the number of tensors.


def set_tensors(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Replace parameters and buffers."""
    modules = dict(model.named_modules(remove_duplicate=False))
    recurrent = set[nn.RNNBase]()
    for name, tensor in tensors.items():
        path, _, attribute = name.rpartition(".")
        owner = modules[path]
        if isinstance(owner, nn.RNNBase):  # whose `__setattr__` searches all names
            nn.Module.__setattr__(owner, attribute, tensor)
            recurrent.add(owner)
        else:
            setattr(owner, attribute, tensor)
    for owner in recurrent:
        owner._init_flat_weights()  # noqa: SLF001  # what its `__setattr__` updates


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into the parameters and buffers of a module, as `load_state_dict` does.

    Raises:
        RuntimeError: a module that has its own way to load does not load them.
    """
    of_children: dict[str, dict[str, Tensor]] = {name: {} for name in module._modules}  # noqa: SLF001  # with shared ones
    own: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        child, _, rest = name.partition(".")
        if child in of_children:
            of_children[child][rest] = tensor
        else:
            own[name] = tensor
    targets = {**module._parameters, **module._buffers}  # noqa: SLF001  # by name, shared ones too
    if _loads_itself(module) or not own.keys() <= targets.keys():
        module.load_state_dict(dict(tensors))
        return
    for name, tensor in own.items():
        targets[name].data.copy_(tensor)  # type: ignore[union-attr]  # not None, since it is in the `state_dict`
    for name, part in of_children.items():
        if part:
            load_tensors(module.get_submodule(name), part)


def _loads_itself(module: nn.Module) -> bool:
    cls: Any = type(module)
    methods = ("load_state_dict", "_load_from_state_dict")
    hooks: list[Any] = [module._load_state_dict_pre_hooks]  # noqa: SLF001  # torch has no public list
    if not isinstance(module, RecurrentModel):  # whose hook ties what `assign=True` separates
        hooks.append(module._load_state_dict_post_hooks)  # noqa: SLF001  # likewise
    return any(hooks) or any(getattr(cls, name) is not getattr(nn.Module, name) for name in methods)


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


# After loading


def find_float8(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors of 8 bits, in which torch does not compute."""
    return [name for name, tensor in tensors.items() if tensor.dtype in _FLOAT8]


def find_other_dtypes(tensors: Mapping[str, Tensor], built: Mapping[str, Tensor], dtype: torch.dtype) -> list[str]:
    """Return the names of the floating-point tensors that are neither in a dtype nor as the model is built.

    Args:
        tensors: the tensors of a file.
        built: the tensors of the model as it is built, of which a kind may keep some in a dtype of their own.
        dtype: the dtype of the model.
    """
    return [
        name
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and tensor.dtype not in (dtype, built[name].dtype, *_FLOAT8)
    ]


def find_nonfinite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors with a value that is NaN or infinite."""
    return [name for name, tensor in tensors.items() if not _is_finite(tensor)]


def _is_finite(tensor: Tensor) -> bool:
    if tensor.dtype in _FLOAT8:
        tensor = tensor.to(torch.float32)
    # One pass without a copy: the extremes of numbers with NaN are NaN.
    values = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    if not values.is_floating_point() or not values.numel():
        return True
    return all(bool(each.isfinite()) for each in values.aminmax())


# Whether tensors fit a spec


def find_mismatches(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], found_ties: Mapping[str, str]
) -> list[str]:
    """Return a message for each tensor that does not fit a model. Any floating-point dtype fits any other.

    Args:
        expected: parameters and buffers of the model, from `state_dict(keep_vars=True)`.
        found: the other tensors.
        found_ties: for each tied tensor of `found`, the name of the other.
    """
    return [
        *(f"{name} is missing: {_shape_text(tensor)}" for name, tensor in expected.items() if name not in found),
        *(
            f"{dotted([name])} is unexpected: {_shape_text(tensor)}"
            for name, tensor in found.items()
            if name not in expected
        ),
        *(
            f"{name} is {_shape_text(found[name])}, expected {_shape_text(tensor)}"
            for name, tensor in expected.items()
            if name in found and _form(found[name]) != _form(tensor)
        ),
        *(
            f"{name} is a separate tensor, expected to be tied to {kept}"
            for name, kept in find_ties(expected).items()
            if found_ties.get(name, name) != found_ties.get(kept, kept)
        ),
    ]


def _shape_text(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def _form(tensor: Tensor) -> tuple[torch.Size, object]:
    """The shape, and the dtype except for its precision."""
    dtype = tensor.dtype
    return tensor.shape, "floating" if dtype.is_floating_point else "complex" if dtype.is_complex else dtype
