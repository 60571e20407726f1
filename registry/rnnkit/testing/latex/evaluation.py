"""Computes a tree from what its names stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from rnnkit.testing.latex.tokens import UnreadableEquationError
from rnnkit.testing.latex.tree import (
    Arguments,
    Beside,
    Binary,
    Call,
    Name,
    Number,
    Power,
    Product,
    Stacked,
    Tree,
    Unary,
    resolved,
)
from rnnkit.testing.latex.values import EquationError, Value, applied, combined, concatenated, power, product, value_of

Values = Mapping[str, Any]

_UNARY: dict[str, Callable[..., Tensor]] = {"-": torch.neg, "sqrt": torch.sqrt}
_BINARY: dict[str, Callable[..., Tensor]] = {"+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div}


def evaluated(tree: Tree, values: Values) -> Any:
    """The value of a tree, or the function that it is.

    Raises:
        EquationError: a name has no value, or something does not go together.
        UnreadableEquationError: a function has no argument.
    """
    return _evaluated(resolved(tree, lambda name, _: callable(_looked_up(name.name, values))), values)


def _evaluated(tree: Tree, values: Values) -> Any:
    match tree:
        case Name(name):
            return _looked_up(name, values)
        case Number(digits):
            return value_of(float(digits))
        case Unary(sign, of):
            return combined(_UNARY[sign], _value(of, values))
        case Binary(sign, left, right):
            return _between(sign, _value(left, values), _value(right, values))
        case Power(base, _):
            return power(_value(base, values), tree.number)
        case Product(factors):
            return reduce(product, [_value(factor, values) for factor in factors])
        case Stacked(parts):
            return concatenated([_value(part, values) for part in parts])
        case Call(function, arguments):
            return applied(_looked_up(function.name, values), [_value(each, values) for each in arguments])
        case Arguments(parts):
            return [_value(part, values) for part in parts]
        case Beside():
            raise AssertionError("resolved trees have none")


def _between(sign: str, left: Value, right: Value) -> Value:
    if sign != ".":
        return combined(_BINARY[sign], left, right)
    return combined(torch.mul, left, right) if left.axes == right.axes == 1 else product(left, right)


def _value(tree: Tree, values: Values) -> Value:
    """The value, which must be one."""
    value = _evaluated(tree, values)
    if isinstance(value, Value):
        return value
    raise UnreadableEquationError("a function without its argument, or arguments without a function, cannot be read")


def _looked_up(name: str, values: Values) -> Any:
    if name not in values:
        raise EquationError(f"{name} has no value")
    return values[name]
