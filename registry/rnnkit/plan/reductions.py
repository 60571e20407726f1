"""Means over features, and what is made of them: sums, variances, layer normalization, softmax.

A mean over the features of a value is an instruction whose result is a piece with the mean in each feature. The value
that torch gives one feature, `(batch, 1)`, is such a piece.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnkit.plan.instructions import row_mean, select
from rnnkit.plan.nodes import Operand, apply
from rnnkit.plan.record import Call

if TYPE_CHECKING:
    from rnnkit.plan.lower import Lowering

_Array = Any  # of nodes and constants


def map_array(function: Callable[[Any], Any], array: _Array) -> _Array:
    """Return the array of the values of a function."""
    return np.array(np.frompyfunc(function, 1, 1)(array), object)


class _Reduction:
    """The operand of a reduction and the axes over which it reduces, which remain with the size 1."""

    def __init__(self, values: Lowering, call: Call, dims: Sequence[int] | None) -> None:
        shape = values.features(call.arguments[0].index)
        self.array = values.numbers(call.arguments[0])
        self.axes = tuple(dim % (len(shape) + 1) - 1 for dim in (dims or [0]))  # no axes: all, with the batch
        if -1 in self.axes:
            raise values.unsupported("an operation along the batch")
        self.size = math.prod(shape[axis] for axis in self.axes)
        self._over_features = values.width > 1 and len(shape) - 1 in self.axes

    def mean(self, array: _Array) -> _Array:
        total, count = array.sum(self.axes, keepdims=True), math.prod(array.shape[axis] for axis in self.axes)
        mean = total if count == 1 else total * (1 / count)
        return map_array(row_mean, mean) if self._over_features else mean

    def sum(self, array: _Array) -> _Array:
        return self.mean(array) * float(self.size)

    def centered(self) -> _Array:
        return self.array - self.mean(self.array)


def _dims(call: Call, position: int = 1) -> Any:
    return call.arguments[position] if len(call.arguments) > position else dict(call.keywords).get("dim")


def _mean(values: Lowering, call: Call) -> _Array:
    reduction = _Reduction(values, call, _dims(call))
    return reduction.mean(reduction.array)


def _sum(values: Lowering, call: Call) -> _Array:
    reduction = _Reduction(values, call, _dims(call))
    return reduction.sum(reduction.array)


def _var(values: Lowering, call: Call) -> _Array:
    reduction, correction = _Reduction(values, call, _dims(call)), dict(call.keywords).get("correction", 1)
    centered = reduction.centered()
    return reduction.mean(centered * centered) * (reduction.size / (reduction.size - correction))


def _std(values: Lowering, call: Call) -> _Array:
    return map_array(_root, _var(values, call))


def _vector_norm(values: Lowering, call: Call) -> _Array:
    order, dims = (*call.arguments, 2)[1], _dims(call, 2)
    if order != 2:
        raise values.unsupported(f"a norm of order {order}")
    reduction = _Reduction(values, call, dims)
    return map_array(_root, reduction.sum(reduction.array * reduction.array))


def _root(x: Operand) -> Operand:
    """The square root, whose gradient is 0 at 0, as torch has it for norms and standard deviations."""
    is_zero = apply("eq", x, 0.0)
    return select(is_zero, 0.0, apply("sqrt", select(is_zero, 1.0, x)))


def _layer_norm(values: Lowering, call: Call) -> _Array:
    _, shape, weight, bias, eps = call.arguments
    reduction = _Reduction(values, call, range(-len(shape), 0))
    centered = reduction.centered()
    variance = reduction.mean(centered * centered)
    result = centered * map_array(lambda x: apply("rsqrt", x + eps), variance)
    if weight is not None:
        result = result * values.read(weight)
    return result if bias is None else result + values.read(bias)


def _softmax(values: Lowering, call: Call) -> _Array:
    reduction, shifted = _shifted(values, call)
    exponentials = map_array(lambda x: apply("exp", x), shifted)
    return exponentials / reduction.sum(exponentials)


def _log_softmax(values: Lowering, call: Call) -> _Array:
    reduction, shifted = _shifted(values, call)
    total = reduction.sum(map_array(lambda x: apply("exp", x), shifted))
    return shifted - map_array(lambda x: apply("log", x), total)


def _shifted(values: Lowering, call: Call) -> tuple[_Reduction, _Array]:
    """Subtract the largest feature, which does not change a softmax, but keeps the exponentials finite."""
    reduction = _Reduction(values, call, [_dims(call)])
    last = reduction.array.ndim - 1
    if reduction.axes != (last,):
        raise values.unsupported("a softmax over another axis than that of the features")
    largest = np.frompyfunc(lambda a, b: apply("maximum", a, b), 2, 1).reduce(reduction.array, last, keepdims=True)
    return reduction, reduction.array - map_array(lambda x: apply("row_max", x), largest)


SOFTMAX = {"_softmax", "_log_softmax"}
REDUCTIONS: dict[str, Callable[[Lowering, Call], _Array]] = {
    "mean": _mean,
    "sum": _sum,
    "var": _var,
    "std": _std,
    "linalg_vector_norm": _vector_norm,
    "native_layer_norm": _layer_norm,
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
}
