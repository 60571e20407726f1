"""Evaluates equations with torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor

from rnnkit.equation._reader import Line, name_of
from rnnkit.equation._tree import (
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
    divide,
    dot,
    number,
    power,
    product,
    root,
    transpose,
)

__all__ = ["MEANINGS", "Value", "as_value", "batched_value", "evaluate", "evaluate_lines"]

Values = Mapping[str, Any]

_UNARY: dict[str, Callable[[Value], Value]] = {"-": partial(combine, torch.neg), "sqrt": root}
_BINARY: dict[str, Callable[[Value, Value], Value]] = {
    "+": partial(combine, torch.add),
    "-": partial(combine, torch.sub),
    "*": partial(combine, torch.mul),
    "/": divide,
    ".": dot,
}


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
        return evaluate(line.tree, values)
    except EquationError as error:
        raise EquationError(f"in the line of {line.name}: {error}") from error


def evaluate(tree: Tree, values: Values) -> Value:
    """The value of a tree.

    Raises:
        EquationError: a name has no value, or shapes do not match.
        UnreadableEquationError: a function has no argument, or its argument is ambiguous.
    """
    return _evaluate(resolved(tree, lambda name, _: callable(_look_up(name, values))), values)


def _evaluate(tree: Tree, values: Values) -> Value:
    match tree:
        case Name(name):
            return _value(_look_up(name, values))
        case Number(digits):
            return number(float(digits))
    return _operation(tree, [_evaluate(child, values) for child in tree.children], values)


def _operation(tree: Tree, operands: list[Value], values: Values) -> Value:
    match tree:
        case Unary(sign):
            return _UNARY[sign](*operands)
        case Binary(sign):
            return _BINARY[sign](*operands)
        case Power():
            return transpose(operands[0]) if tree.exponent == "T" else power(operands[0], tree.number)
        case Product():
            return reduce(product, operands)
        case Stacked():
            return concatenate(operands)
        case Call(function):
            return apply_function(function, _look_up(function, values), operands)
    raise UnreadableEquationError("several values in brackets without a function cannot be read")


def _value(value: Any) -> Value:
    if isinstance(value, Value):
        return value
    raise UnreadableEquationError("a function without an argument cannot be read")


def _look_up(name: str, values: Values) -> Any:
    if name not in values:
        hint = ": write the step as a subscript, as in `h_t` and `h_{t-1}`" if name == "t" else ""
        raise EquationError(f"{name} has no value{hint}")
    return values[name]
