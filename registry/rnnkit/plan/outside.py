"""The values that the code of a step reads from outside of the cell: global variables, closures and defaults.

No operator shows them. While a step is recorded, the functions that it calls are noted; a plan is valid as long as the
variables that these functions name keep their values.
"""

from __future__ import annotations

import dis
import gc
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from torch import nn

from rnnkit.plan.fingerprint import freeze, is_library
from rnnkit.plan.unsupported import Unsupported

_EFFECTS = {"breakpoint", "input", "open", "print"}  # a plan would not repeat them
_ENVIRONMENT = {"environ", "getenv"}
_MAX_DEPTH = 5  # of modules in modules

Codes = dict[types.CodeType, Mapping[str, Any]]


class Outside(NamedTuple):
    """Functions that return the values as they are, and the values as they were when the step was recorded."""

    current: tuple[Callable[[], Any], ...]
    recorded: tuple[Any, ...]

    def is_unchanged(self) -> bool:
        try:
            return all(read() == value for read, value in zip(self.current, self.recorded, strict=True))
        except (Unsupported, KeyError, ValueError):  # replaced by an object that cannot be compared, or deleted
            return False


@contextmanager
def watch_calls() -> Iterator[Codes]:
    """Note the code of all functions that are called in a `with` block, with their global variables."""
    codes: Codes = {}

    def note(frame: types.FrameType, event: str, _argument: Any) -> None:
        if event == "call" and not is_library(frame.f_globals.get("__name__")):
            codes[frame.f_code] = frame.f_globals

    previous, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # a collection calls finalizers and callbacks of others
    sys.setprofile(note)
    try:
        yield codes
    finally:
        sys.setprofile(previous)
        if collects:
            gc.enable()


def outside_values(cell: nn.Module, codes: Codes) -> Outside:
    """Return the values from outside that functions of a cell read.

    Args:
        cell: the cell.
        codes: the functions, from `watch_calls`.

    Raises:
        Unsupported: one of them is an object whose changes cannot be seen.
    """
    reads = [read for code, variables in codes.items() for read in _global_reads(code, variables)]
    known = _functions(cell, codes)
    for code in codes:
        if code in known:
            reads += _function_reads(known[code])
        elif code.co_freevars and not any(code in other.co_consts for other in codes):
            raise Unsupported(f"step calls {code.co_qualname}, a closure whose variables cannot be found")
    return Outside(tuple(reads), tuple(read() for read in reads))


def _global_reads(code: types.CodeType, variables: Mapping[str, Any]) -> Iterator[Callable[[], Any]]:
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        if instruction.opname == "IMPORT_NAME" and not is_library(name):
            raise Unsupported(f"{code.co_qualname} imports {name} while it runs")
        is_variable = instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}
        if (is_variable and name in _EFFECTS and name not in variables) or name in _ENVIRONMENT:
            raise Unsupported(f"{code.co_qualname} calls {name}")
        if is_variable and name in variables:
            yield from _variable_reads(variables, name, code.co_names, name)


def _variable_reads(
    variables: Mapping[str, Any], name: str, names: tuple[str, ...], label: str, depth: int = 0
) -> Iterator[Callable[[], Any]]:
    """Return the reads of a variable; of a module, also those of its variables that the code names."""
    yield partial(_read, variables, name, label)
    value = variables[name]
    if isinstance(value, types.ModuleType) and not is_library(value.__name__) and depth < _MAX_DEPTH:
        inner = vars(value)
        for each in names:
            if each in inner:
                yield from _variable_reads(inner, each, names, f"{label}.{each}", depth + 1)


def _read(variables: Mapping[str, Any], name: str, label: str) -> Any:
    value = variables[name]
    return value if isinstance(value, types.ModuleType) else freeze(value, f"the variable {label}")


def _read_closure(name: str, cell: types.CellType) -> Any:
    return freeze(cell.cell_contents, f"the variable {name} of a closure")


def _read_defaults(function: types.FunctionType) -> Any:
    return freeze((function.__defaults__, function.__kwdefaults__), f"a default of {function.__qualname__}")


def _function_reads(function: types.FunctionType) -> Iterator[Callable[[], Any]]:
    yield from (partial(_read_closure, name, cell) for name, cell in _closure(function))
    yield partial(_read_defaults, function)


def _functions(cell: nn.Module, codes: Codes) -> dict[types.CodeType, types.FunctionType]:
    """Return the functions whose code ran, as far as they are methods, attributes, or named by one that ran."""
    found: dict[types.CodeType, types.FunctionType] = {}
    queue: list[Any] = [value for module in cell.modules() for value in _members(module)]
    while queue:
        value = _unwrap(queue.pop())
        if isinstance(value, types.FunctionType) and value.__code__ in codes and value.__code__ not in found:
            found[value.__code__] = value
            queue += [inner.cell_contents for _, inner in _closure(value)]
            queue += [value.__globals__[name] for name in value.__code__.co_names if name in value.__globals__]
    return found


def _members(module: nn.Module) -> Iterator[Any]:
    yield from vars(module).values()
    for base in type(module).__mro__:
        if not is_library(base.__module__):
            yield from vars(base).values()


def _unwrap(value: Any) -> Any:
    if isinstance(value, property):
        return value.fget
    return getattr(value, "__func__", value)


def _closure(function: types.FunctionType) -> list[tuple[str, types.CellType]]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return [(name, cell) for name, cell in cells if name != "__class__"]
