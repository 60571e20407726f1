"""Convert the values that NumPy and config tools pass to plain Python values."""

from __future__ import annotations

import operator
from collections import UserString
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from pydantic_core import ArgsKwargs

_PLAIN = (bool, int, float, str, bytes, bytearray, memoryview, type(None))
_MAX_DEPTH = 100  # deeper data is refused by its validation, which does not recurse


def plain_fields(data: Any) -> Any:
    """Convert the fields that were given to a pydantic dataclass, as arguments or as a mapping, by `to_plain`."""
    return ArgsKwargs(data.args, to_plain(data.kwargs)) if isinstance(data, ArgsKwargs) else to_plain(data)


def to_plain(value: Any) -> Any:
    """Convert numbers of NumPy, mappings, sequences and namespaces to plain Python values, at every depth.

    OmegaConf has mappings and sequences of its own, and argparse and jsonargparse pass namespaces. A tuple stays a
    tuple; a value of any other type, and one that is nested more than 100 levels deep, is unchanged.
    """
    return value if isinstance(value, _PLAIN) else _convert(value, {}, 0)


def _convert(value: Any, done: dict[int, tuple[Any, Any]], depth: int) -> Any:
    # `done` has each object that was converted, and the result, by its id: an object may contain itself, and may be
    # contained so often that to convert each occurrence would not end.
    if isinstance(value, _PLAIN) or depth > _MAX_DEPTH:
        return value
    if id(value) in done:
        return done[id(value)][1]
    if _is_namespace(value):
        return _convert(vars(value), done, depth)
    if isinstance(value, Mapping):
        plain: Any = {}
        done[id(value)] = value, plain
        plain |= {key: _convert(part, done, depth + 1) for key, part in value.items()}
        return plain
    if isinstance(value, Sequence) and not isinstance(value, UserString):
        plain = []
        done[id(value)] = value, plain
        plain += [_convert(part, done, depth + 1) for part in value]
        return tuple(plain) if isinstance(value, tuple) else plain
    return _convert_scalar(value)


def _convert_scalar(value: Any) -> Any:
    if isinstance(value, UserString):
        return str(value)
    if _dtype_is_bool(value):
        return bool(value) if type(value).__module__ == "numpy" else value
    try:
        return operator.index(value)
    except TypeError:  # not an integer
        return float(value) if isinstance(value, Real) else value


def _dtype_is_bool(value: object) -> bool:
    """True for booleans of NumPy and torch, which `operator.index` may turn into 0 and 1."""
    return "bool" in str(getattr(value, "dtype", ""))


def _is_namespace(value: object) -> bool:
    """True for the namespaces of argparse, jsonargparse and `types`, which have no common base class."""
    return any(base.__name__ in ("Namespace", "SimpleNamespace") for base in type(value).__mro__)
