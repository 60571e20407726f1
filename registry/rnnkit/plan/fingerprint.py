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

from rnnkit.plan.record import tensor_place
from rnnkit.plan.unsupported import Unsupported


class _Example(NamedTuple):
    """A named tuple, for the type of its attributes."""

    part: int


_LIBRARIES = {"rnnkit", "torch", "numpy", *sys.stdlib_module_names} - {"__main__"}
# Attributes of classes that Python and its libraries set, and that have no effect on instances.
_SPECIAL = {
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__firstlineno__"),
    *("__abstractmethods__", "_abc_impl", "__parameters__", "__type_params__", "__orig_bases__", "__hash__"),
    *("__dataclass_fields__", "__dataclass_params__", "__static_attributes__", "__annotate_func__", "__slots__"),
    *("__annotations_cache__", "__classdictcell__"),
}
_MAX_DEPTH = 20
_NUMBERS = (bool, int, float, complex, str, bytes, type(None), np.generic)
# They have no parts that change, or are compared by identity because they are replaced as a whole.
_BY_IDENTITY = (
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
    type(functools.lru_cache(lambda: None)),
    torch.jit.ScriptFunction,
    type(vars(_Example)["part"]),
    torch.dtype,
    torch.device,
    torch.layout,
    torch.memory_format,
    torch.finfo,
    torch._ops.OpOverload,
    torch._ops.OpOverloadPacket,
)
# `reset_parameters` is an attribute of modules of built models.
_NOT_READ = {"_parameters", "_buffers", "_modules", "reset_parameters"}


def fingerprint(cell: nn.Module) -> tuple[Any, ...]:
    """Return all that a plan of a cell depends on, except the values of tensors, so that equal cells have equal plans.

    These are the classes of the cell and of its modules with their methods and constants, their attributes, whether
    they are in training mode, and the shapes, dtypes and devices of their tensors.

    Raises:
        Unsupported: a module has hooks, or an attribute is an object whose changes cannot be seen.
    """
    _refuse_global_hooks()
    modules = tuple((name, *_fingerprint_module(name, module)) for name, module in cell.named_modules())
    return modules, _shared(cell)


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
    if isinstance(value, type):
        return value, *_constants(value, depth)
    if isinstance(value, _BY_IDENTITY):
        attributes = vars(value) if isinstance(value, types.FunctionType) else {}
        return value, *(freeze(part, where, depth + 1) for part in _items(attributes))
    parts = [*_parts(value, where), *_items(getattr(value, "__dict__", {}))]
    return type(value), *(freeze(part, where, depth + 1) for part in parts)


def is_library(name: object) -> bool:
    """True for modules of torch, numpy, rnnkit and Python, whose values do not change."""
    return str(name).partition(".")[0] in _LIBRARIES


def _parts(value: Any, where: str) -> list[Any]:
    """Return the parts of a container that are not attributes."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return sorted(value, key=repr) if isinstance(value, (set, frozenset)) else list(value)
    if isinstance(value, (dict, types.MappingProxyType)):
        return _items(value)
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType) and isinstance(value.__self__, (nn.Module, type)):
        return [value.__func__, type(value.__self__)]
    if dataclasses.is_dataclass(value):
        return [getattr(value, each.name) for each in dataclasses.fields(value)]
    if isinstance(value, types.SimpleNamespace):
        return []
    raise Unsupported(f"{where} is a {type(value).__name__}, an object whose changes a plan would not see")


def _items(mapping: Any) -> list[Any]:
    return [part for item in mapping.items() for part in item]


def _fingerprint_module(name: str, module: nn.Module) -> Iterator[Any]:
    yield from _constants(type(module), 0)
    for attribute, value in vars(module).items():
        path = f"{name}.{attribute}".removeprefix(".")
        if attribute.endswith("_hooks"):
            _refuse_hooks(path, value)
        elif attribute not in _NOT_READ:
            yield attribute, freeze(value, path)
    for attribute, tensor in _tensors(module):
        yield attribute, freeze(tensor, attribute)


def _constants(cls: type, depth: int) -> Iterator[Any]:
    """Return a class, and the methods and constants of those of its bases that are not of a library."""
    yield cls
    for base in cls.__mro__:
        if not is_library(base.__module__):
            if vars(base).get("__slots__"):
                raise Unsupported(f"{base.__name__} has __slots__, whose values a plan would not see")
            for name, value in vars(base).items():
                if name not in _SPECIAL:
                    yield base, name, freeze(value, f"{base.__name__}.{name}", depth + 1)


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for group in (module._parameters, module._buffers, vars(module)):
        yield from ((name, value) for name, value in group.items() if isinstance(value, Tensor))


def _shared(cell: nn.Module) -> tuple[int, ...]:
    """Return for each tensor the number of the first one that is the same: a plan knows the two by one path."""
    first: dict[Any, int] = {}
    tensors = enumerate(cell_tensors(cell))
    return tuple(first.setdefault(tensor_place(tensor), number) for number, (_, tensor) in tensors)


def _refuse_hooks(path: str, hooks: Any) -> None:
    if hooks and not path.rpartition(".")[2].startswith(("_state_dict", "_load_state_dict")):
        raise Unsupported(f"a module has hooks, which would not be called: {path}")


def _refuse_global_hooks() -> None:
    for name in ("forward", "forward_pre", "backward", "backward_pre"):
        if getattr(torch_module, f"_global_{name}_hooks"):
            raise Unsupported(f"torch has global {name} hooks, which would not be called")
