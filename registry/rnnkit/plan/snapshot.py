"""All that a step may read without an operator: attributes, methods, global variables, closures and defaults.

A plan has these values in its constants. It is valid as long as they stay the same.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from rnnkit.plan.code import all_code, attribute_names, global_names, is_library, refuse_environment
from rnnkit.plan.record import tensor_place
from rnnkit.plan.unsupported import Unsupported


class _Example(NamedTuple):
    """A named tuple, for the type of its attributes."""

    part: int


# Attributes of classes that Python, its libraries and rnnkit set, and that have no effect on instances.
_SPECIAL = {
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__firstlineno__"),
    *("__abstractmethods__", "_abc_impl", "__parameters__", "__type_params__", "__orig_bases__", "__hash__"),
    *("__dataclass_fields__", "__dataclass_params__", "__static_attributes__", "__annotate_func__", "__slots__"),
    *("__annotations_cache__", "__classdictcell__", "__slotnames__", "__constants__", "_field_defaults", "_make"),
    *("_unroll_origin", "_unroll_layers_origin"),
}
_NOT_READ = set(vars(nn.Module())) - {"training"}  # of torch: parameters, buffers, modules and hooks
_MAX_DEPTH = 20
_NUMBERS = (bool, int, float, complex, str, bytes, type(None))
_CACHE = type(functools.lru_cache(lambda: None))
# They have no parts that change, or are compared by identity because they are replaced as a whole.
BY_IDENTITY = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.GenericAlias,
    types.EllipsisType,
    types.CodeType,
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
MISSING = object()
"""The value of a global variable that does not exist."""
Source: TypeAlias = tuple[Any, partial[Any]]
"""A module, class or function, and a function of it that returns values, with their names as its argument."""
_HOOKS = tuple(name for name in vars(nn.Module()) if name.endswith("_hooks") and "state_dict" not in name)


class Snapshot:
    """Values that a plan depends on, except those of tensors.

    Attributes:
        key: a hashable value that is equal for equal values; it holds objects by weak references.
        sources: pairs of a module, class or function, and a function that returns its values.
        tensors: the tensors among the values.
        empty: the attributes of functions that have none.

    Args:
        codes: the code of the functions that ran, whose variables are values as well.
        paths: the modules of the cell, by their identity, and their paths.
        by_identity: True to compare tensors, classes, functions and modules by identity, for a guard that has their
            parts from `sources`.
    """

    def __init__(
        self,
        codes: Collection[types.CodeType] = (),
        paths: Mapping[int, str] = types.MappingProxyType({}),
        *,
        by_identity: bool = False,
    ) -> None:
        self.key: Any = ()
        self.sources: list[Source] = []
        self.tensors: list[Tensor] = []
        self.empty: list[dict[str, Any]] = []
        self._found: set[types.CodeType] = set()
        self._codes = codes
        self._paths = dict(paths)
        self._by_identity = by_identity
        self._seen: set[tuple[int, ...]] = set()

    def module(self, module: nn.Module, path: str) -> tuple[Any, ...]:
        """Return the class of a module, its attributes, parameters and buffers."""
        own = vars(module)
        for name in _HOOKS:
            if own[name]:
                raise Unsupported(f"a module has hooks, which would not be called: {path}{name}")
        names = [name for name, value in own.items() if name not in _NOT_READ and not _is_of_rnnkit(name, value)]
        self.sources.append((module, partial(_module_values, names)))
        attributes = {**{name: own[name] for name in names}, **module._parameters, **module._buffers}
        return self.freeze(type(module), path), self._freeze_each(attributes, path)

    def refuse_hidden_code(self) -> None:
        """Raise `Unsupported` for code that ran and that no value leads to: its variables cannot be found."""
        found = {each for code in self._found for each in all_code(code)}
        for code in self._codes:
            if code not in found:
                raise Unsupported(f"step calls {code.co_qualname}, a function whose variables cannot be found")

    def freeze(self, value: Any, where: str, depth: int = 0) -> Any:
        """Return a hashable value that is equal for values that have the same effect in a step.

        Args:
            value: the value.
            where: the name of the attribute or variable, for the error.
            depth: how deep in containers the value is.

        Raises:
            Unsupported: the value is an object whose changes cannot be seen, or a function that a step must not call.
        """
        if depth > _MAX_DEPTH:
            raise Unsupported(f"{where} is nested more than {_MAX_DEPTH} levels deep")
        if is_number(value):
            return type(value), repr(value)  # not the number: 1 == True, 0.0 == -0.0, and nan != nan
        refuse_environment(value, where)
        is_watched = self._by_identity and isinstance(value, (Tensor, type, types.FunctionType, enum.Enum))
        if is_watched or is_compared_by_identity(value):
            return hold(value)
        if isinstance(value, Tensor):
            self.tensors.append(value)
            return tensor_facts([value]), *self._own_attributes(value, where, depth)
        if isinstance(value, (type, types.FunctionType, enum.Enum)):
            return hold(value), *self._definition(value, depth)
        if isinstance(value, (types.MethodType, types.BuiltinFunctionType)):
            function = getattr(value, "__func__", value.__name__)
            return hold(type(value)), self.freeze(function, where, depth + 1), self._owner(value.__self__, where, depth)
        parts = descriptor_functions(value) or [*_parts(value, where), *_items(getattr(value, "__dict__", {}))]
        of_class = () if self._by_identity else self._class(type(value), depth)
        return hold(type(value)), *of_class, *[self.freeze(part, where, depth + 1) for part in parts]

    def _owner(self, owner: Any, where: str, depth: int) -> Any:
        """Return the value of the object that a method is bound to."""
        if not isinstance(owner, nn.Module):
            return self.freeze(owner, where, depth + 1)
        if self._by_identity:
            return hold(owner)
        if id(owner) in self._paths:
            return self._paths[id(owner)]
        modules = list(owner.modules())
        self._paths |= {id(module): f"{where} {number}" for number, module in enumerate(modules)}
        return tuple(self.module(module, f"{where}.") for module in modules)

    def _freeze_each(self, values: Mapping[str, Any], where: str, depth: int = 0) -> Any:
        return tuple((name, self.freeze(value, f"{where}{name}", depth + 1)) for name, value in values.items())

    def _definition(self, value: Any, depth: int) -> Iterator[Any]:
        """Return the parts of a class, a function, or a member of an enumeration."""
        if isinstance(value, types.FunctionType):
            yield from self._function(value, depth)
        elif isinstance(value, enum.Enum):
            yield from self._member(value, depth)
        else:
            yield from self._class(value, depth)
            yield from self._class(type(value), depth)  # the metaclass

    def _class(self, cls: type, depth: int) -> Iterator[Any]:
        """Return the methods and constants of those bases of a class that are not of a library."""
        for base in cls.__mro__:
            if not is_library(base.__module__) and self._is_new(base):
                slots = vars(base).get("__slots__")
                if slots and not dataclasses.is_dataclass(base):
                    raise Unsupported(f"{base.__name__} has __slots__, whose values a plan would not see")
                members = base.__members__ if issubclass(base, enum.Enum) else {}
                constants = {name: value for name, value in vars(base).items() if not _is_special(name, base)}
                self.sources.append((base, partial(_all_attributes, list(constants))))
                yield hold(base), self._freeze_each({**constants, **members}, f"{base.__name__}.", depth)

    def _function(self, function: types.FunctionType, depth: int) -> Iterator[Any]:
        """Return the attributes of a function; of one that ran, the variables that it reads as well."""
        if not self._is_new(function):
            return
        yield from self._own_attributes(function, f"{function.__qualname__}.", depth)
        if function.__code__ in self._codes:
            self._found.add(function.__code__)
            yield self._freeze_each(_own_variables(function), "the variable ", depth)
            yield self._globals(function)

    def _own_attributes(self, owner: Any, where: str, depth: int) -> Iterator[Any]:
        """Return the attributes of a function or a tensor, which has none as a rule."""
        if vars(owner):
            self.sources.append((owner, partial(_all_attributes, list(vars(owner)))))
            yield self._freeze_each(vars(owner), where, depth)
        else:
            self.empty.append(vars(owner))

    def _member(self, member: enum.Enum, depth: int) -> Iterator[Any]:
        """Return the attributes of a member of an enumeration that is not of a library, and its class."""
        if not is_library(type(member).__module__) and self._is_new(member):
            attributes = {name: value for name, value in vars(member).items() if name != "__objclass__"}
            self.sources.append((member, partial(_all_attributes, list(attributes))))
            yield self._freeze_each(attributes, f"{member!s}.", depth)
            yield from self._class(type(member), depth)

    def _globals(self, function: types.FunctionType) -> Any:
        names, code = global_names(function.__code__), function.__code__
        self.sources.append((function, partial(_function_values, names)))
        variables = function.__globals__
        return tuple((name, self._variable(variables[name], name, code)) for name in names if name in variables)

    def _variable(self, value: Any, name: str, code: types.CodeType) -> Any:
        """Return the value of a variable; of a module, those of its variables that the code names."""
        if not isinstance(value, types.ModuleType):
            return self.freeze(value, f"the variable {name}")
        if not self._is_new(value, code):
            return hold(value)
        names = sorted(each for each in attribute_names(code) if each in vars(value))
        if is_library(value.__name__):  # of which only what others have set may change
            names = [each for each in names if _may_change(vars(value)[each])]
        watched = [each for each in names if not _is_library_module(vars(value)[each])]
        if watched:
            self.sources.append((value, partial(_attributes, watched)))
        return hold(value), *[(each, self._variable(vars(value)[each], f"{name}.{each}", code)) for each in names]

    def _is_new(self, *value: Any) -> bool:
        """True for the first visit of an object, which is enough."""
        key = tuple(map(id, value))
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new


def take_snapshot(cell: nn.Module, codes: Collection[types.CodeType] = ()) -> Snapshot:
    """Return all that a plan of a cell depends on, except the values of tensors: equal cells have equal plans.

    These are the classes of the cell and of its modules with their methods and constants, their attributes, whether
    they are in training mode, the shapes, dtypes and devices of their tensors, and the variables of functions.

    Args:
        cell: the cell.
        codes: the code of the functions that the step calls, if that is known.

    Raises:
        Unsupported: a module has hooks, or a value is an object whose changes cannot be seen.
    """
    named = dict(cell.named_modules())
    snapshot = Snapshot(codes, {id(module): path for path, module in named.items()})
    modules = tuple((path, snapshot.module(module, f"{path}." if path else "")) for path, module in named.items())
    places = [tensor_place(tensor) for tensor in snapshot.tensors]
    first = {place: number for number, place in reversed(list(enumerate(places)))}
    # a plan knows tensors that share memory by one path; new tensors of a step may have the default dtype
    snapshot.key = modules, tuple(first[place] for place in places), torch.get_default_dtype()
    return snapshot


def freeze(value: Any, where: str) -> Any:
    """Return a hashable value that is equal for values that have the same effect in a step."""
    return Snapshot(by_identity=True).freeze(value, where)


def is_number(value: Any) -> bool:
    """True for numbers and strings, except those of subclasses, which may have attributes."""
    if type(value) in _NUMBERS:
        return True
    return isinstance(value, np.generic) and not isinstance(value, np.void) and type(value).__module__ == "numpy"


def is_compared_by_identity(value: Any) -> bool:
    """True for objects without parts that change; a method of a built-in object, such as `dict.get`, has one."""
    if isinstance(value, types.BuiltinFunctionType):
        return isinstance(value.__self__, (type, types.ModuleType, type(None)))
    return isinstance(value, BY_IDENTITY)


def _is_of_rnnkit(name: str, value: Any) -> bool:
    """True for what rnnkit sets in modules and no step reads, whose identity differs between equal cells."""
    if name == "reset_parameters":
        return type(value).__module__ == "rnnkit.model.reset"
    return name == "_new" and type(value) is dict and [*value] == ["device", "dtype"]  # of `Cell.new_parameter`


def _is_special(name: str, owner: type) -> bool:
    """True for attributes of classes that have no effect on instances, and for those of enumerations and members."""
    if issubclass(owner, enum.Enum) and (name in owner.__members__ or name.startswith("_")):
        return True
    return name in _SPECIAL


def _is_library_module(value: Any) -> bool:
    return isinstance(value, types.ModuleType) and is_library(value.__name__)


def _may_change(value: Any) -> bool:
    """True for a variable of a library's module that may not be the library's own, and for modules in it."""
    if isinstance(value, (types.ModuleType, Tensor, list, tuple, dict, set)) or is_number(value):
        return True
    return not is_library(getattr(value, "__module__", None) or type(value).__module__)


def hold(value: Any) -> Any:
    """Return a weak reference to an object, or the object if there are none: numbers and types of torch."""
    try:
        return weakref.ref(value)
    except TypeError:
        return value


def cell_tensors(cell: nn.Module) -> list[tuple[str, Tensor]]:
    """Return the parameters, the buffers and the tensors among the attributes of a cell and its modules, with paths."""
    return [
        (f"{prefix}.{name}".removeprefix("."), tensor)
        for prefix, module in cell.named_modules()
        for group in (module._parameters, module._buffers, vars(module))
        for name, tensor in group.items()
        if isinstance(tensor, Tensor)
    ]


_facts = attrgetter("shape", "dtype", "device", "requires_grad")


def tensor_facts(tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    """Return all that a plan depends on but the values, as quickly as Python allows: this runs at every call."""
    return *map(_facts, tensors), *map(Tensor.is_neg, tensors)


def _parts(value: Any, where: str) -> list[Any]:
    """Return the parts of a container that are not attributes."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return sorted(value, key=repr) if isinstance(value, (set, frozenset)) else list(value)
    if isinstance(value, (dict, types.MappingProxyType)):
        return _items(value)
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if dataclasses.is_dataclass(value):
        return [getattr(value, each.name) for each in dataclasses.fields(value)]
    if isinstance(value, _NUMBERS):  # of a subclass
        kinds: tuple[Any, ...] = _NUMBERS
        return [each.__repr__(value) for each in kinds if isinstance(value, each)]
    if isinstance(value, (types.SimpleNamespace, _CACHE)):
        return []
    raise Unsupported(f"{where} is a {type(value).__name__}, an object whose changes a plan would not see")


def descriptor_functions(value: Any) -> list[Any]:
    """Return the functions of a property or another method with a decorator of Python; none for other values."""
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    if isinstance(value, (staticmethod, classmethod)):
        return [value.__func__]
    return [value.func] if isinstance(value, functools.cached_property) else []


def _items(mapping: Any) -> list[Any]:
    return [part for item in mapping.items() for part in item]


def _own_variables(function: types.FunctionType) -> dict[str, Any]:
    """Return the variables of a closure, and the defaults of a function; `__class__` is there for `super`."""
    closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    variables = {name: cell.cell_contents for name, cell in closure if name != "__class__"}
    return variables | {"code": function.__code__, "args": function.__defaults__, "kwargs": function.__kwdefaults__}


# The values of sources for guards: in a fixed order, and as quickly as Python allows.


def _attributes(names: Sequence[str], owner: Any) -> Iterable[Any]:
    return map(vars(owner).__getitem__, names)


def _all_attributes(names: Sequence[str], owner: Any) -> list[Any]:
    own = vars(owner)
    return [len(own), *map(own.__getitem__, names)]


def _module_values(names: Sequence[str], module: nn.Module) -> list[Any]:
    own = vars(module)
    if any(map(own.__getitem__, _HOOKS)):
        raise Unsupported("a module has hooks")
    parameters, buffers, modules = module._parameters, module._buffers, module._modules
    registered = (*parameters, *parameters.values(), *buffers, *buffers.values(), *modules, *modules.values())
    return [type(module), len(own), *map(own.__getitem__, names), *registered]


def _function_values(names: Sequence[str], function: types.FunctionType) -> list[Any]:
    values = [function.__code__, function.__defaults__, function.__kwdefaults__]
    values += map(function.__globals__.get, names, repeat(MISSING))
    if function.__closure__:
        values += [cell.cell_contents for cell in function.__closure__]
    return values
