"""The values in an equation: numbers, columns and matrices, with an optional batch axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit._messages import join_names
from rnnkit.equation._names import COMPLEX_FUNCTIONS, MATH_FUNCTIONS, ONES, WORD_FUNCTIONS
from rnnkit.equation._tree import EquationError, UnreadableEquationError

Function = Callable[..., Tensor]

_TYPES = ("a number", "a column", "a matrix")


class Value(NamedTuple):
    """A number, a column or a matrix, or a batch of them.

    Attributes:
        tensor: `(...)`, `(..., size)` or `(..., rows, columns)`, with an optional leading batch axis.
        axes: the number of axes without the batch: 0, 1 or 2.
    """

    tensor: Tensor
    axes: int

    def __str__(self) -> str:
        sizes = " x ".join(str(size) for size in self.tensor.shape[self.tensor.dim() - self.axes :])
        return f"{_TYPES[self.axes]} of {sizes}" if self.axes else _TYPES[0]


def as_value(symbol: Any) -> Any:
    """A number or a tensor of up to two axes as a `Value`; a function unchanged."""
    if callable(symbol) and not isinstance(symbol, Tensor):
        return symbol
    dtype = torch.complex128 if isinstance(symbol, complex) else torch.float64
    tensor = symbol if isinstance(symbol, Tensor) else torch.tensor(symbol, dtype=dtype)
    return _value(tensor, tensor.dim())


def number(digits: float) -> Value:
    """A number as a `Value`."""
    return Value(torch.tensor(digits, dtype=torch.float64), 0)


def batched_value(tensor: Tensor) -> Value:
    """A tensor with a batch axis, `(batch, ...)`, as a `Value`."""
    return _value(tensor, tensor.dim() - 1)


def combine(operation: Function, *values: Value) -> Value:
    """Apply an element-wise operation, such as a sum. Numbers broadcast."""
    axes = max(value.axes for value in values)
    if any(value.axes not in (0, axes) and not _is_number(value) for value in values):
        raise EquationError(f"{_join(values)} cannot be combined element-wise")
    try:
        return Value(operation(*(_expand(value, axes) for value in values)), axes)
    except RuntimeError as error:
        raise EquationError(f"{_join(values)} cannot be combined: their shapes do not match") from error


def dot(left: Value, right: Value) -> Value:
    r"""`\cdot`: a product of numbers or matrices."""
    if left.axes == right.axes == 1 and not (_is_number(left) or _is_number(right)):
        fix = r"write \odot for the element-wise product, a^\top b for the inner product"
        raise EquationError(rf"\cdot between {left} and {right} is ambiguous: {fix}")
    return product(left, right)


def product(left: Value, right: Value) -> Value:
    """A number times anything, a matrix times a matrix or a column, or a column times a row."""
    if 0 in (left.axes, right.axes) or _is_number(left) or (_is_number(right) and not _has_one_column(left)):
        return combine(torch.mul, left, right)
    if left.axes == 1 and not _is_row(right):
        fix = r"\odot for the element-wise product" if right.axes == 1 else "the matrix first, W x: vectors are columns"
        raise EquationError(f"{left} stands before {right}: write {fix}")
    dtype = torch.promote_types(left.tensor.dtype, right.tensor.dtype)  # matmul does not promote real to complex
    try:
        found = _as_matrix(left).to(dtype) @ _as_matrix(right).to(dtype)
    except RuntimeError as error:
        raise EquationError(f"{left} cannot be multiplied by {right}") from error
    return Value(found.squeeze(-1), 1) if right.axes == 1 else Value(found, 2)


def transpose(of: Value) -> Value:
    """The transpose of a matrix, of a column, which becomes a row, or of a row, which becomes a column."""
    if of.axes == 0:
        raise EquationError(f"{of} cannot be transposed")
    return Value(of.tensor.squeeze(-2), 1) if _is_row(of) else Value(_as_matrix(of).mT, 2)


def root(of: Value) -> Value:
    """An element-wise square root."""
    return combine(torch.sqrt, _not_matrix(of, "has a square root"))


def divide(left: Value, right: Value) -> Value:
    """An element-wise quotient."""
    return combine(torch.div, left, _not_matrix(right, "is a divisor"))


def power(base: Value, exponent: float) -> Value:
    """An element-wise power."""
    return Value(_not_matrix(base, "has a power").tensor ** exponent, base.axes)


def concatenate(values: Sequence[Value]) -> Value:
    """Concatenate columns."""
    if any(value.axes != 1 for value in values):
        raise EquationError(f"{_join(values)} cannot be concatenated: only columns can")
    batch = torch.broadcast_shapes(*(value.tensor.shape[:-1] for value in values))
    return Value(torch.cat([value.tensor.expand(*batch, -1) for value in values], dim=-1), 1)


def apply_function(name: str, function: Function, values: Sequence[Value]) -> Value:
    """Apply a function to values whose last axis is that of the features."""
    if function in _AMBIGUOUS_OF_MATRICES:
        values = [_not_matrix(value, f"is the argument of {name}") for value in values]
    axes = max(value.axes for value in values)
    tensors = [_expand(value, axes) for value in values]
    batch = max(tensor.dim() for tensor in tensors) - axes
    try:
        result = function(*tensors)
    except (TypeError, RuntimeError) as error:
        raise EquationError(f"{name} of {_join(values)} cannot be computed: {error}") from error
    return _value(result, result.dim() - batch)


def _not_matrix(value: Value, use: str) -> Value:
    if value.axes == 2:
        raise EquationError(f"{value} {use}, which is ambiguous: it may act on the matrix or on each entry")
    return value


def _as_matrix(value: Value) -> Tensor:
    """A column as a matrix of one column."""
    return value.tensor if value.axes == 2 else value.tensor.unsqueeze(-1)


def _value(tensor: Tensor, axes: int) -> Value:
    if not 0 <= axes < len(_TYPES):
        raise UnreadableEquationError(f"a tensor of shape {tuple(tensor.shape)} is not a number, column or matrix")
    return Value(tensor, axes)


def _expand(value: Value, axes: int) -> Tensor:
    """The tensor with trailing axes added. A zero-dimensional tensor stays one: it does not promote the dtype."""
    return value.tensor[(..., *(None,) * (axes - value.axes))] if value.tensor.dim() else value.tensor


def _is_number(value: Value) -> bool:
    """Whether a column has a single feature, such as a parameter of shape `(1,)`."""
    return value.axes == 1 and value.tensor.shape[-1] == 1


def _has_one_column(value: Value) -> bool:
    return value.axes == 2 and value.tensor.shape[-1] == 1


def _is_row(value: Value) -> bool:
    return value.axes == 2 and value.tensor.shape[-2] == 1


def _join(values: Sequence[Value]) -> str:
    return join_names(map(str, values), " and ")


def _function(name: str) -> Function:
    found: Function = _OTHERS.get(name) or getattr(torch, name, None) or getattr(F, name)
    return found


# Unlike torch's own functions, which a cell may give to have them act on each entry of a matrix.
_EXP, _LOG, _ABS = partial(torch.exp), partial(torch.log), partial(torch.abs)
_AMBIGUOUS_OF_MATRICES = (_EXP, _LOG, _ABS)
_OTHERS: dict[str, Function] = {
    "exp": _EXP,
    **dict.fromkeys(("log", "ln"), _LOG),
    "abs": _ABS,
    "diag": torch.diag_embed,
    "max": torch.maximum,
    "min": torch.minimum,
    "softmax": partial(torch.softmax, dim=-1),
}
# Names with a fixed meaning, unless the cell assigns them another value.
MEANINGS: dict[str, Any] = {
    r"\sigma": torch.sigmoid,
    **dict.fromkeys(ONES, as_value(1.0)),
    **{name: _function(meaning) for name, meaning in COMPLEX_FUNCTIONS.items()},
    **{f"\\{name}": _function(name) for name in MATH_FUNCTIONS},
    **{f"\\mathrm{{{name}}}": _function(name) for name in WORD_FUNCTIONS},
}
