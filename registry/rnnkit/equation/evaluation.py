"""Computes a tree from what its names stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce, singledispatch
from typing import Any

import torch
from torch import Tensor

from rnnkit.equation.tokens import UnreadableEquationError
from rnnkit.equation.tree import (
    Arguments,
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
from rnnkit.equation.values import EquationError, Value, applied, combined, concatenated, power, product, value_of

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


@singledispatch
def _evaluated(tree: Tree, _values: Values) -> Any:
    raise AssertionError(f"a resolved tree has no {type(tree).__name__}")


@_evaluated.register
def _(tree: Name, values: Values) -> Any:
    return _looked_up(tree.name, values)


@_evaluated.register
def _(tree: Number, _values: Values) -> Any:
    return value_of(float(tree.digits))


@_evaluated.register
def _(tree: Unary, values: Values) -> Any:
    return combined(_UNARY[tree.sign], _value(tree.of, values))


@_evaluated.register
def _(tree: Binary, values: Values) -> Any:
    return _between(tree.sign, _value(tree.left, values), _value(tree.right, values))


@_evaluated.register
def _(tree: Power, values: Values) -> Any:
    return power(_value(tree.base, values), tree.number)


@_evaluated.register
def _(tree: Product, values: Values) -> Any:
    return reduce(product, [_value(part, values) for part in tree.parts])


@_evaluated.register
def _(tree: Stacked, values: Values) -> Any:
    return concatenated([_value(part, values) for part in tree.parts])


@_evaluated.register
def _(tree: Call, values: Values) -> Any:
    return applied(_looked_up(tree.function.name, values), [_value(each, values) for each in tree.arguments])


@_evaluated.register
def _(tree: Arguments, values: Values) -> Any:
    return [_value(part, values) for part in tree.parts]


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
