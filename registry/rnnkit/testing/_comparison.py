"""Compares nested collections of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Difference(NamedTuple):
    """The largest difference between two collections of tensors."""

    size: float  # the largest absolute difference of two entries
    message: str  # the end of a sentence that describes the difference; empty if it is within rounding


def leaves(value: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and mappings, in order."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value
    return [leaf for part in parts for leaf in leaves(part)]


def floating_leaves(value: Any) -> list[Tensor]:
    return [part for part in leaves(value) if part.is_floating_point()]


def largest_difference(actual: Any, expected: Any, *, relative: float, absolute: float, path: str = "") -> Difference:
    """Compare tensors, and nested tuples, lists and mappings of them, part by part; `path` is that of `actual`."""
    if isinstance(actual, Tensor) and isinstance(expected, Tensor):
        return _compare_tensors(actual, expected, relative, absolute, path)
    pairs, mismatch = _pairs(actual, expected, path)
    if mismatch:
        return Difference(float("inf"), mismatch)
    tolerance = {"relative": relative, "absolute": absolute}
    found = [largest_difference(*pair, path=where, **tolerance) for where, pair in pairs.items()]
    wrong = [each for each in found if each.message]
    return max(wrong or found, key=lambda each: each.size, default=Difference(0.0, ""))


def _pairs(actual: Any, expected: Any, path: str) -> tuple[dict[str, tuple[Any, Any]], str]:
    """The parts of both by their paths; or a message if the structures differ."""
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if actual.keys() != expected.keys():
            return {}, f"{path} has {sorted(actual)}, but should have {sorted(expected)}"
        return {f"{path}[{name!r}]": (actual[name], expected[name]) for name in expected}, ""
    if not isinstance(actual, tuple | list) or not isinstance(expected, tuple | list) or len(actual) != len(expected):
        return {}, f"{path} is {_type_text(actual)}, but should be {_type_text(expected)}"
    names = getattr(expected, "_fields", None)
    keys = [f".{name}" for name in names] if names else [f"[{index}]" for index in range(len(expected))]
    return {path + key: pair for key, pair in zip(keys, zip(actual, expected, strict=True), strict=True)}, ""


def _compare_tensors(actual: Tensor, expected: Tensor, relative: float, absolute: float, path: str) -> Difference:
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return Difference(float("inf"), f"{path} is {_type_text(actual)}, but should be {_type_text(expected)}".strip())
    a, b = (tensor.detach().to("cpu", torch.float64) for tensor in (actual, expected))
    apart = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, (a - b).abs().nan_to_num(nan=torch.inf))
    size = float(apart.max()) if apart.numel() else 0.0
    excess = apart - (absolute + relative * b.abs().nan_to_num(posinf=0.0))
    if not excess.numel() or not (excess > 0).any():
        return Difference(size, "")
    return Difference(size, _largest_excess(a, b, excess, path))


def _largest_excess(a: Tensor, b: Tensor, excess: Tensor, path: str) -> str:
    # NumPy's, because the first call of torch's function imports modules for more than a second
    index = tuple(int(each) for each in np.unravel_index(int(excess.argmax()), a.shape))
    at = f" at {[*index]}" if index else ""
    differ = f"({int((excess > 0).sum())} of {a.numel()} entries differ)"
    return f"{path} is {a[index]:.17g}{at}, but should be {b[index]:.17g} {differ}".strip()


def _type_text(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
