"""The functions that a step calls, and the names that their code reads."""

from __future__ import annotations

import dis
import functools
import gc
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rnnkit.plan.unsupported import Unsupported

_LIBRARIES = {"rnnkit", "torch", "numpy", *sys.stdlib_module_names} - {"__main__"}
_EFFECTS = {"breakpoint", "input", "open", "print"}  # a plan would not repeat them
_HIDING = {"globals", "eval", "exec", "__import__"}  # they read variables without their names in the code
# Names that read the environment, variables of other functions, or settings of torch; also as attributes.
_ENVIRONMENT = {
    *("environ", "getenv", "import_module", "_getframe", "currentframe", "f_globals", "__globals__", "__builtins__"),
    *("are_deterministic_algorithms_enabled", "is_deterministic_algorithms_warn_only_enabled"),
    *("get_deterministic_debug_mode", "get_float32_matmul_precision", "get_default_device", "get_num_threads"),
    *("get_num_interop_threads", "is_inference_mode_enabled", "is_anomaly_enabled", "get_rng_state", "initial_seed"),
    *("allow_tf32", "fp32_precision"),
}


def refuse_environment(value: object, where: str) -> None:
    """Raise `Unsupported` for a function that a step must not call, which it may know by another name."""
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
        name = value.__name__
        if name in _ENVIRONMENT | _EFFECTS | _HIDING and is_library(value.__module__):
            raise Unsupported(f"{where} is the function {name}")


@contextmanager
def watch_calls() -> Iterator[set[types.CodeType]]:
    """Note the code of all functions that are called in a `with` block, except those of libraries."""
    codes: set[types.CodeType] = set()
    thread, callbacks = threading.get_ident(), {getattr(each, "__code__", None) for each in gc.callbacks}

    def note(frame: types.FrameType, event: str, _argument: Any) -> None:
        if event != "call" or thread in _collecting or frame.f_code in callbacks:
            return  # a garbage collection calls finalizers and callbacks of others
        if not is_library(frame.f_globals.get("__name__")):
            codes.add(frame.f_code)

    previous = sys.getprofile()
    sys.setprofile(note)
    try:
        yield codes
    finally:
        _restore(previous)


# The threads that collect garbage. Disabling the collection while a step runs would disable it for all threads.
_collecting: set[int] = set()


def _note_start(phase: str, _info: object) -> None:
    if phase == "start":
        _collecting.add(threading.get_ident())


def _note_stop(phase: str, _info: object) -> None:
    if phase == "stop":
        _collecting.discard(threading.get_ident())


gc.callbacks.insert(0, _note_start)
gc.callbacks.append(_note_stop)


def _restore(profiler: Any) -> None:
    """Restore the function of `sys.setprofile`; the profiler of `cProfile` is not a function."""
    if profiler is None or callable(profiler):
        sys.setprofile(profiler)
    else:
        sys.setprofile(None)
        profiler.enable()


def is_library(name: object) -> bool:
    """True for modules of torch, numpy, rnnkit and Python, whose values do not change."""
    # `collections` compiles the `__new__` of each NamedTuple in a module of this name.
    return str(name).partition(".")[0] in _LIBRARIES or str(name).startswith("namedtuple_")


def all_code(code: types.CodeType) -> list[types.CodeType]:
    """Return the code of a function and of those that are defined inside of it."""
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return [code, *[each for outer in inner for each in all_code(outer)]]


@functools.lru_cache(maxsize=1024)
def global_names(code: types.CodeType) -> tuple[str, ...]:
    """Return the names of the global variables that the code of a function reads.

    Raises:
        Unsupported: the code reads the environment, imports a module, or has effects that a plan would not repeat.
    """
    names: dict[str, None] = {}
    for each in all_code(code):
        for instruction in dis.get_instructions(each):
            name = instruction.argval
            if instruction.opname == "IMPORT_NAME" and not is_library(name):
                raise Unsupported(f"{each.co_qualname} imports {name} while it runs")
            is_variable = instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}
            if name in _ENVIRONMENT or (is_variable and name in _EFFECTS | _HIDING):
                raise Unsupported(f"{each.co_qualname} calls {name}")
            if is_variable:
                names[name] = None
    return tuple(names)


def attribute_names(code: types.CodeType) -> set[str]:
    """Return all names in the code of a function, those of attributes as well, and its strings, as for `getattr`."""
    names = {name for each in all_code(code) for name in each.co_names}
    return names | {each for part in all_code(code) for each in part.co_consts if isinstance(each, str)}
