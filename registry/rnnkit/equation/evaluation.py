"""Evaluates equations with torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce, singledispatch
from typing import Any

import torch
from torch import Tensor

from rnnkit.equation._reader import Line, name_of
from rnnkit.equation._tree import (
    Arguments,
    Binary,
    Call,
    EquationError,
    Name,
    Number,
    Power,
    Product,
    Stacked,
    Tree,
    Unary,
    UnreadableEquationError,
    resolved,
)
from rnnkit.equation._values import (
    MEANINGS,
    Value,
    apply_function,
    as_value,
    batched_value,
    combine,
    concatenate,
    power,
    product,
)

__all__ = ["MEANINGS", "Value", "as_value", "batched_value", "evaluate", "evaluate_lines"]

Values = Mapping[str, Any]

_UNARY: dict[str, Callable[..., Tensor]] = {"-": torch.neg, "sqrt": torch.sqrt}
_BINARY: dict[str, Callable[..., Tensor]] = {"+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div}


def evaluate_lines(lines: Iterable[Line], symbols: Values, batched: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The value of each line; see `Equation.evaluate`."""
    values: dict[str, Any] = dict(MEANINGS)
    values |= {name_of(name): as_value(value) for name, value in symbols.items()}
    values |= {name_of(name): batched_value(value) for name, value in batched.items()}
    defined: dict[str, Tensor] = {}
    for line in lines:
        values[line.name] = _line_value(line, values)
        defined[line.name] = values[line.name].tensor
    return defined


def _line_value(line: Line, values: Values) -> Value:
    try:
        value: Any = evaluate(line.tree, values)
    except EquationError as error:
        raise EquationError(f"in the line of {line.name}: {error}") from error
    if not isinstance(value, Value):
        raise UnreadableEquationError(f"the line of {line.name} has no value")
    return value


def evaluate(tree: Tree, values: Values) -> Any:
    """The value of a tree, which may be a function.

    Raises:
        EquationError: a name has no value, or shapes do not match.
        UnreadableEquationError: a function has no argument.
    """
    return _evaluate(resolved(tree, lambda name, _: callable(_look_up(name.name, values))), values)


@singledispatch
def _evaluate(tree: Tree, _values: Values) -> Any:
    raise AssertionError(f"a resolved tree has no {type(tree).__name__}")


@_evaluate.register
def _(tree: Name, values: Values) -> Any:
    return _look_up(tree.name, values)


@_evaluate.register
def _(tree: Number, _values: Values) -> Any:
    return as_value(float(tree.digits))


@_evaluate.register
def _(tree: Unary, values: Values) -> Any:
    return combine(_UNARY[tree.sign], _value(tree.of, values))


@_evaluate.register
def _(tree: Binary, values: Values) -> Any:
    return _between(tree.sign, _value(tree.left, values), _value(tree.right, values))


@_evaluate.register
def _(tree: Power, values: Values) -> Any:
    return power(_value(tree.base, values), tree.number)


@_evaluate.register
def _(tree: Product, values: Values) -> Any:
    return reduce(product, [_value(part, values) for part in tree.parts])


@_evaluate.register
def _(tree: Stacked, values: Values) -> Any:
    return concatenate([_value(part, values) for part in tree.parts])


@_evaluate.register
def _(tree: Call, values: Values) -> Any:
    return apply_function(_look_up(tree.function.name, values), [_value(each, values) for each in tree.arguments])


@_evaluate.register
def _(tree: Arguments, values: Values) -> Any:
    return [_value(part, values) for part in tree.parts]


def _between(sign: str, left: Value, right: Value) -> Value:
    if sign != ".":
        return combine(_BINARY[sign], left, right)
    return combine(torch.mul, left, right) if left.axes == right.axes == 1 else product(left, right)


def _value(tree: Tree, values: Values) -> Value:
    """The value of a tree that is not a function."""
    value = _evaluate(tree, values)
    if isinstance(value, Value):
        return value
    raise UnreadableEquationError("a function without an argument, or arguments without a function, cannot be read")


def _look_up(name: str, values: Values) -> Any:
    if name not in values:
        raise EquationError(f"{name} has no value")
    return values[name]
