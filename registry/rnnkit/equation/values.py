"""What the terms of an equation are, and what becomes of them: numbers, columns and matrices, for all rows at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit.errors import RnnkitError

Function = Callable[..., Tensor]

_SORTS = ("a number", "a column", "a matrix")


class EquationError(RnnkitError, ValueError):
    """An equation cannot be computed: a symbol has no value, or what it puts together does not go together."""


class Value(NamedTuple):
    """A number, a column or a matrix; perhaps another one for each row of a batch.

    Attributes:
        tensor: `(...)`, `(..., size)` or `(..., rows, columns)`, with the axis of the batch first, if there is one.
        axes: how many axes it has beside the batch: 0, 1 or 2.
    """

    tensor: Tensor
    axes: int

    def __str__(self) -> str:
        sizes = " x ".join(str(size) for size in self.tensor.shape[self.tensor.dim() - self.axes :])
        return f"{_SORTS[self.axes]} of {sizes}" if self.axes else _SORTS[0]


def value_of(thing: Any) -> Any:
    """What a symbol stands for: a function as it is; a number, or a tensor of up to two axes, as a `Value`."""
    if callable(thing) and not isinstance(thing, Tensor):
        return thing
    tensor = thing if isinstance(thing, Tensor) else torch.tensor(thing, dtype=torch.float64)
    return _value(tensor, tensor.dim())


def value_of_rows(rows: Tensor) -> Value:
    """What is another one for each row, `(batch, ...)`."""
    return _value(rows, rows.dim() - 1)


def combined(operation: Function, *values: Value) -> Value:
    """An operation feature by feature, such as a sum. A number goes together with anything."""
    axes = max(value.axes for value in values)
    if any(value.axes not in (0, axes) for value in values):
        raise EquationError(f"{_listed(values)} do not go together feature by feature")
    try:
        return Value(operation(*(_widened(value, axes) for value in values)), axes)
    except RuntimeError as error:
        raise EquationError(f"{_listed(values)} do not go together") from error


def product(left: Value, right: Value) -> Value:
    """What stands side by side: a number times anything, or a matrix times a matrix or a column."""
    if 0 in (left.axes, right.axes) or _is_number(left) or _is_number(right):
        return combined(torch.mul, left, right)
    if left.axes == 1:
        raise EquationError(f"{left} stands before {right}: write \\odot for the product of each feature")
    try:
        if right.axes == 2:
            return Value(left.tensor @ right.tensor, 2)
        return Value((left.tensor @ right.tensor.unsqueeze(-1)).squeeze(-1), 1)
    except RuntimeError as error:
        raise EquationError(f"{left} cannot be multiplied by {right}") from error


def power(base: Value, exponent: float) -> Value:
    """Of each feature."""
    if base.axes == 2:
        raise EquationError(f"{base} has a power, which could mean two things")
    return Value(base.tensor**exponent, base.axes)


def concatenated(values: Sequence[Value]) -> Value:
    """Columns one above the other."""
    if any(value.axes != 1 for value in values):
        raise EquationError(f"{_listed(values)} cannot be stacked: only columns can")
    batch = torch.broadcast_shapes(*(value.tensor.shape[:-1] for value in values))
    return Value(torch.cat([value.tensor.expand(*batch, -1) for value in values], dim=-1), 1)


def applied(function: Callable[..., Any], values: Sequence[Value]) -> Value:
    """A function of one value or several, whose last axis is that of the features."""
    axes = max(value.axes for value in values)
    tensors = [_widened(value, axes) for value in values]
    batch = max(tensor.dim() for tensor in tensors) - axes
    result = function(*tensors)
    return _value(result, result.dim() - batch)


def _value(tensor: Tensor, axes: int) -> Value:
    if not 0 <= axes < len(_SORTS):
        raise EquationError(f"a tensor of shape {tuple(tensor.shape)} is no number, column or matrix")
    return Value(tensor, axes)


def _widened(value: Value, axes: int) -> Tensor:
    """The tensor with axes at its end; a number stays one, and so widens no dtype."""
    return value.tensor[(..., *(None,) * (axes - value.axes))] if value.tensor.dim() else value.tensor


def _is_number(value: Value) -> bool:
    """Whether a column has one feature, as a parameter of shape `(1,)`."""
    return value.axes == 1 and value.tensor.shape[-1] == 1


def _listed(values: Sequence[Value]) -> str:
    return " and ".join(str(value) for value in values)


_FUNCTIONS: dict[str, Function] = {
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log": torch.log,
    "ln": torch.log,
    "sin": torch.sin,
    "cos": torch.cos,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "max": torch.maximum,
    "min": torch.minimum,
}
_WRITTEN_OUT: dict[str, Function] = {
    **_FUNCTIONS,
    "sigmoid": torch.sigmoid,
    "relu": F.relu,
    "softplus": F.softplus,
    "silu": F.silu,
    "gelu": F.gelu,
    "elu": F.elu,
    "sign": torch.sign,
    "softmax": partial(torch.softmax, dim=-1),
}
# What has one meaning in every equation, unless the cell says that it means something else there.
MEANINGS: dict[str, Any] = {
    r"\sigma": torch.sigmoid,
    r"\mathbf{1}": value_of(1.0),
    **{f"\\{name}": function for name, function in _FUNCTIONS.items()},
    **{f"\\mathrm{{{name}}}": function for name, function in _WRITTEN_OUT.items()},
}
