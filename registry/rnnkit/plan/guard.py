"""Notice quickly that a cell is the same as it was when its plan was looked up."""

from __future__ import annotations

import enum
import sys
import types
import weakref
from collections.abc import Callable, Collection, Sequence
from itertools import repeat
from operator import call, is_
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit.model import autocast_is_on, has_global_hooks, transforms_are_active
from rnnkit.plan.code import is_library
from rnnkit.plan.record import tensor_place
from rnnkit.plan.snapshot import (
    MISSING,
    Snapshot,
    Source,
    descriptor_functions,
    freeze,
    hold,
    is_compared_by_identity,
    is_number,
    tensor_facts,
)
from rnnkit.plan.unsupported import Unsupported

_CONSTANTS = (enum.Enum, types.FunctionType, types.ModuleType, type, Tensor, nn.Module)
_SAME = object()


class _Values:
    """The values of sources, compared with those of today."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = [(_reader(owner), read) for owner, read in sources]
        values = [value for owner, read in sources for value in read(owner)]
        self._containers = [(n, _comparison(value)) for n, value in enumerate(values) if not _is_constant(value)]
        for position, _ in self._containers:
            values[position] = _SAME
        self._values = list(map(_reader, values))

    def are_of(self, sources: Sequence[Source]) -> bool:
        """True if these are the same sources, with the same values."""
        owners = zip(self._sources, sources, strict=True)
        return all(known() is owner for (known, _), (owner, _) in owners) and self.are_same()

    def are_same(self) -> bool:
        now: list[Any] = []
        for owner, read in self._sources:
            now += read(owner())
        for position, is_same in self._containers:
            if is_same(now[position]):
                now[position] = _SAME
        return _are(now, self._values)


class Guard:
    """Compares the values of a snapshot with those of today, by identity, since this takes microseconds.

    It does not keep the cell alive: it has weak references to all objects that may refer to the cell. A value that is
    equal but another object counts as a change: the snapshot is then taken again.

    Args:
        snapshot: the snapshot of a cell.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        modules = [source for source in snapshot.sources if isinstance(source[0], nn.Module)]
        self._of_modules = _Values(modules)
        self._shared = _shared_values([source for source in snapshot.sources if not isinstance(source[0], nn.Module)])
        self._empty = snapshot.empty
        self._tensors = [weakref.ref(tensor) for tensor in snapshot.tensors]
        self._facts = tensor_facts(snapshot.tensors)
        self._default_dtype = torch.get_default_dtype()
        self._devices = {tensor.device.type for tensor in snapshot.tensors}
        # a plan knows two tensors of one memory by one path, and whether they still are one would be slow to see
        objects = {id(tensor): tensor for tensor in snapshot.tensors}
        self._separate = len({tensor_place(tensor) for tensor in objects.values()}) == len(objects)

    def is_unchanged(self, seen: set[Any] | None = None) -> bool:
        """True if the values are the same, and no mode of torch is on that forbids plans.

        Args:
            seen: the values of classes and functions that guards have just found to be the same; None: none.
        """
        if transforms_are_active() or has_global_hooks() or any(map(autocast_is_on, self._devices)):
            return False
        try:
            same = self._same_values(set() if seen is None else seen) and self._same_tensors()
            return same and not any(self._empty) and torch.get_default_dtype() is self._default_dtype
        except (Unsupported, AttributeError, KeyError, RuntimeError, TypeError, ValueError):  # something was deleted
            return False

    def _same_values(self, seen: set[Any]) -> bool:
        if self._shared not in seen:
            if not self._shared.are_same():
                return False
            seen.add(self._shared)
        return self._of_modules.are_same()

    def _same_tensors(self) -> bool:
        tensors: Any = list(map(call, self._tensors))
        return self._separate and tensor_facts(tensors) == self._facts


# The values that cells of one class have in common, by the identity of what has them and the names of the values.
_shared: weakref.WeakValueDictionary[Any, _Values] = weakref.WeakValueDictionary()


def _shared_values(sources: Sequence[Source]) -> _Values:
    """Return the values of classes and functions, one object for all cells with the same."""
    key = tuple((id(owner), read.func, tuple(read.args[0])) for owner, read in sources)
    found = _shared.get(key)
    if found is None or not found.are_of(sources):
        found = _shared[key] = _Values(sources)
    return found


def _reader(value: Any) -> Callable[[], Any]:
    """Return a function that returns a value: a weak reference if the value may refer to a cell."""
    held = hold(value)
    return held if isinstance(held, weakref.ref) else repeat(value).__next__


def _are(values: Collection[Any], readers: Collection[Callable[[], Any]]) -> bool:
    return len(values) == len(readers) and all(map(is_, values, map(call, readers)))


def _comparison(value: Any) -> Callable[[Any], bool]:
    """Return a function that compares values with one that has parts: by identity, or by what they have in common."""
    parts, kind = _parts(value), type(value)
    if parts and all(map(_is_constant, parts)):
        readers = list(map(_reader, parts))
        return lambda other: type(other) is kind and _are(_parts(other), readers)
    frozen = freeze(value, "")
    return lambda other: bool(freeze(other, "") == frozen)


def _parts(value: Any) -> list[Any]:
    """Return the parts of a list, tuple or dictionary; none of others."""
    if type(value) is dict:
        return [*value, *value.values()]
    return list(value) if type(value) in {list, tuple} else []


def _is_constant(value: Any) -> bool:
    """True for values without parts that may change."""
    if value is MISSING or value is _SAME:
        return True
    if type(value) is tuple:
        return all(map(is_number, value))
    functions = descriptor_functions(value)
    if functions:
        return all(map(_is_in_module, functions))
    return is_number(value) or isinstance(value, _CONSTANTS) or is_compared_by_identity(value)


def _is_in_module(function: Any) -> bool:
    """True for a function that lives as long as a module, so that a reference to it keeps nothing else alive."""
    if function is None:
        return True
    if getattr(function, "__closure__", None):
        return False
    module = sys.modules.get(getattr(function, "__module__", ""))
    variables = getattr(function, "__globals__", {})
    return getattr(module, "__dict__", None) is variables or is_library(variables.get("__name__"))
