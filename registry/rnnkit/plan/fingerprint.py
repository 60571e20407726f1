"""The values that a step may read without an operator: attributes of the cell, and constants of its classes.

A plan has these values in its constants. It is valid as long as they stay the same.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from rnnkit.plan.unsupported import Unsupported


class _Example(NamedTuple):
    """A named tuple, for the type of its attributes."""

    part: int


_LIBRARIES = {"rnnkit", "torch", "numpy", *sys.stdlib_module_names} - {"__main__"}
_MAX_DEPTH = 20
_NUMBERS = (bool, int, float, complex, str, bytes, type(None), np.generic)
# They have no parts that change, or are compared by identity because they are replaced as a whole.
_BY_IDENTITY = (
    type,
    enum.Enum,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.GenericAlias,
    types.EllipsisType,
    property,
    staticmethod,
    classmethod,
    functools.cached_property,
    type(vars(_Example)["part"]),
    torch.dtype,
    torch.device,
    torch.layout,
    torch.memory_format,
    torch.finfo,
    torch._ops.OpOverload,
    torch._ops.OpOverloadPacket,
)
_CONTAINERS = {"_parameters", "_buffers", "_modules"}


def fingerprint(cell: nn.Module) -> tuple[Any, ...]:
    """Return all that a plan of a cell depends on, except the values of tensors, so that equal cells have equal plans.

    These are the classes of the cell and of its modules with their methods and constants, their attributes, whether
    they are in training mode, and the shapes, dtypes and devices of their tensors.

    Raises:
        Unsupported: a module has hooks, or an attribute is an object whose changes cannot be seen.
    """
    _refuse_global_hooks()
    return tuple((name, *_fingerprint_module(name, module)) for name, module in cell.named_modules())


def cell_tensors(cell: nn.Module) -> list[tuple[str, Tensor]]:
    """Return the parameters, the buffers and the tensors among the attributes of a cell and its modules, with paths."""
    return [
        (f"{prefix}.{name}".removeprefix("."), tensor)
        for prefix, module in cell.named_modules()
        for name, tensor in _tensors(module)
    ]


def freeze(value: Any, where: str, depth: int = 0) -> Any:
    """Return a hashable value that is equal for values that have the same effect in a step.

    Args:
        value: the value.
        where: the name of the attribute or variable, for the error.
        depth: how deep in containers the value is.

    Raises:
        Unsupported: the value is an object whose changes cannot be seen.
    """
    if depth > _MAX_DEPTH:
        raise Unsupported(f"{where} is nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, _NUMBERS):
        return type(value), repr(value)  # not the number: 1 == True, 0.0 == -0.0, and nan != nan
    if isinstance(value, Tensor):
        return "tensor", tuple(value.shape), value.dtype, value.device, value.requires_grad
    if isinstance(value, _BY_IDENTITY):
        return value
    return type(value), tuple(freeze(part, where, depth + 1) for part in _parts(value, where))


def is_library(name: object) -> bool:
    """True for modules of torch, numpy, rnnkit and Python, whose values do not change."""
    return str(name).partition(".")[0] in _LIBRARIES


def _parts(value: Any, where: str) -> list[Any]:
    """Return the parts of a container."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, (dict, types.MappingProxyType)):
        return [part for item in value.items() for part in item]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType) and isinstance(value.__self__, (nn.Module, type)):
        return [value.__func__, type(value.__self__)]
    if isinstance(value, types.SimpleNamespace) or dataclasses.is_dataclass(value):
        return [part for item in vars(value).items() for part in item]
    raise Unsupported(f"{where} is a {type(value).__name__}, an object whose changes a plan would not see")


def _fingerprint_module(name: str, module: nn.Module) -> Iterator[Any]:
    yield _fingerprint_class(type(module))
    for attribute, value in vars(module).items():
        path = f"{name}.{attribute}".removeprefix(".")
        if attribute.endswith("_hooks"):
            _refuse_hooks(path, value)
        elif attribute not in _CONTAINERS and not isinstance(value, nn.Module):
            yield attribute, freeze(value, path)
    for attribute, tensor in _tensors(module):
        yield attribute, freeze(tensor, attribute)


def _fingerprint_class(cls: type) -> tuple[Any, ...]:
    return tuple(
        (base, name, freeze(value, f"{base.__name__}.{name}"))
        for base in cls.__mro__
        if not is_library(base.__module__)
        for name, value in vars(base).items()
        if not (name.startswith("__") and name.endswith("__") and not callable(value)) and name != "_abc_impl"
    )


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for group in (module._parameters, module._buffers, vars(module)):
        yield from ((name, value) for name, value in group.items() if isinstance(value, Tensor))


def _refuse_hooks(path: str, hooks: Any) -> None:
    if hooks and not path.rpartition(".")[2].startswith(("_state_dict", "_load_state_dict")):
        raise Unsupported(f"a module has hooks, which would not be called: {path}")


def _refuse_global_hooks() -> None:
    for name in ("forward", "forward_pre", "backward", "backward_pre"):
        if getattr(torch_module, f"_global_{name}_hooks"):
            raise Unsupported(f"torch has global {name} hooks, which would not be called")
