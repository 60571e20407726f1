"""Operators that move whole pieces: splitting, concatenating and reshaping cost nothing when a plan runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnkit.plan.record import BATCH, Call

if TYPE_CHECKING:
    from rnnkit.plan.lower import Lowering

_Array = Any  # of nodes and constants
SAME_ORDER = {"view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten"}


def _same_order(values: Lowering, call: Call) -> list[_Array]:
    return [values.full(call.arguments[0]).reshape(values.pieces_shape(call.results[0]))]


def _expand(values: Lowering, call: Call) -> list[_Array]:
    return [np.broadcast_to(values.read(call.arguments[0]), values.pieces_shape(call.results[0]))]


def _split(values: Lowering, call: Call) -> list[_Array]:
    axis = _axis(values, call, 2)
    sizes = [values.pieces_shape(result)[axis] for result in call.results]
    return list(np.split(values.full(call.arguments[0]), np.cumsum(sizes)[:-1], axis))


def _slice(values: Lowering, call: Call) -> list[_Array]:
    _, dim, start, end, step = (*call.arguments, None, None, None, None)[:5]
    array = values.full(call.arguments[0])
    if (dim or 0) == 0:
        if (start or 0, step or 1) == (0, 1) and (end is None or end == BATCH or end > 2**31):
            return [array]
        raise values.unsupported("a slice of the batch")
    axis = _axis(values, call, 1)
    unit = values.width if axis == array.ndim - 1 else 1
    length = array.shape[axis] * unit
    first, last, stride = slice(start, end, step).indices(length)
    if stride != 1:
        raise values.unsupported(f"a slice with step {stride}")
    return [array.take(range(first // unit, max(first, last) // unit), axis)]


def _select(values: Lowering, call: Call) -> list[_Array]:
    axis = _axis(values, call, 1, moves=True)
    return [values.full(call.arguments[0]).take(call.arguments[2], axis)]


def _unbind(values: Lowering, call: Call) -> list[_Array]:
    axis = _axis(values, call, 1, moves=True)
    return list(np.moveaxis(values.full(call.arguments[0]), axis, 0))


def _cat(values: Lowering, call: Call) -> list[_Array]:
    axis = axis_of(values, (*call.arguments, 0)[1], len(values.features(call.results[0])))
    return [np.concatenate([values.full(each) for each in call.arguments[0]], axis)]


def _stack(values: Lowering, call: Call) -> list[_Array]:
    axis = axis_of(values, (*call.arguments, 0)[1], len(values.features(call.results[0])), moves=True)
    return [np.stack([values.full(each) for each in call.arguments[0]], axis)]


def _axis(values: Lowering, call: Call, position: int, *, moves: bool = False) -> int:
    dim = call.arguments[position] if len(call.arguments) > position else dict(call.keywords).get("dim", 0)
    return axis_of(values, dim, len(values.features(call.arguments[0].index)), moves=moves)


def axis_of(values: Lowering, dim: int, axes: int, *, moves: bool = False) -> int:
    """Return the axis of an array for an axis of a tensor; `moves`: the axis of the features may not be it."""
    axis = dim % (axes + 1) - 1
    if axis < 0:
        raise values.unsupported("an operation along the batch")
    if moves and axis == axes - 1 and values.width > 1:
        raise values.unsupported("an operation that moves single features")
    return axis


MOVES: dict[str, Callable[[Lowering, Call], list[_Array]]] = {
    **dict.fromkeys(SAME_ORDER, _same_order),
    **dict.fromkeys(("split", "unsafe_split", "unsafe_split_with_sizes", "split_with_sizes"), _split),
    "expand": _expand,
    "slice": _slice,
    "select": _select,
    "unbind": _unbind,
    "cat": _cat,
    "stack": _stack,
}
