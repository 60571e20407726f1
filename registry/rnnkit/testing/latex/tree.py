r"""What an equation says, as a tree: how its parts are put together, before any of them has a value.

A tree is read as it is written. `\phi (x)` may be a function of x or a product, and `resolved` tells which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rnnkit.testing.latex.tokens import UnreadableEquationError


@dataclass(frozen=True)
class Name:
    """A symbol, in the form of `name_of`."""

    name: str


@dataclass(frozen=True)
class Number:
    """A number as it is written."""

    digits: str


@dataclass(frozen=True)
class Unary:
    """`-` before something, or the root of it."""

    sign: Literal["-", "sqrt"]
    of: Tree


@dataclass(frozen=True)
class Binary:
    r"""Something between two others: `*` is feature by feature, `.` is `\cdot`, which may also be between matrices."""

    sign: Literal["+", "-", "*", ".", "/"]
    left: Tree
    right: Tree


@dataclass(frozen=True)
class Power:
    """A power, whose exponent is a number or a fraction of two, such as `1/2`."""

    base: Tree
    exponent: str

    @property
    def number(self) -> float:
        above, _, below = self.exponent.partition("/")
        return float(above) / float(below or 1)


@dataclass(frozen=True)
class Factor:
    """One of several things side by side."""

    tree: Tree
    in_brackets: bool


@dataclass(frozen=True)
class Beside:
    """Things side by side, some of which may be functions of the next. There are at least two."""

    factors: tuple[Factor, ...]


@dataclass(frozen=True)
class Stacked:
    """Columns one above the other."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Arguments:
    """What a function of several is given, in brackets."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Call:
    """A function of one thing or several. Only in a resolved tree."""

    function: Name
    arguments: tuple[Tree, ...]


@dataclass(frozen=True)
class Product:
    """Things multiplied as matrices are, from the left. Only in a resolved tree."""

    factors: tuple[Tree, ...]


Tree: TypeAlias = Name | Number | Unary | Binary | Power | Beside | Stacked | Arguments | Call | Product
IsFunction: TypeAlias = Callable[[Name, bool], bool]
"""Whether a name stands for a function, told the name and whether brackets come next."""


def children(tree: Tree) -> tuple[Tree, ...]:
    """What a tree is put together from, from left to right; the function of a `Call` is none of it."""
    match tree:
        case Name() | Number():
            return ()
        case Unary(_, of) | Power(of, _):
            return (of,)
        case Binary(_, left, right):
            return (left, right)
        case Beside(factors):
            return tuple(factor.tree for factor in factors)
        case Stacked(parts) | Arguments(parts) | Call(_, parts) | Product(parts):
            return parts


def with_children(tree: Tree, parts: tuple[Tree, ...]) -> Tree:
    """The same put together from others."""
    match tree:
        case Name() | Number():
            return tree
        case Unary(sign, _):
            return Unary(sign, *parts)
        case Power(_, exponent):
            return Power(*parts, exponent)
        case Binary(sign, _, _):
            return Binary(sign, *parts)
        case Beside(factors):
            pairs = zip(parts, factors, strict=True)
            return Beside(tuple(Factor(part, factor.in_brackets) for part, factor in pairs))
        case Call(function, _):
            return Call(function, parts)
        case Stacked() | Arguments() | Product():
            return type(tree)(parts)


def names_in(tree: Tree) -> Iterator[str]:
    """The names in a tree, functions among them, from left to right."""
    if isinstance(tree, Name):
        yield tree.name
    if isinstance(tree, Call):
        yield tree.function.name
    for child in children(tree):
        yield from names_in(child)


def resolved(tree: Tree, is_function: IsFunction) -> Tree:
    """The tree with a `Call` or a `Product` where it has things side by side.

    Raises:
        UnreadableEquationError: what a function is of is several things without brackets around them.
    """
    if isinstance(tree, Beside):
        factors = _with_calls(tree.factors, is_function)
        whole = factors[0] if len(factors) == 1 else Product(factors)
        return resolved(whole, is_function)
    return with_children(tree, tuple(resolved(child, is_function) for child in children(tree)))


def _with_calls(factors: tuple[Factor, ...], is_function: IsFunction) -> tuple[Tree, ...]:
    """A function takes the next factor, which needs brackets if there are more: not `tanh W x`."""
    found: list[Tree] = []
    in_brackets = True  # the leftmost that was found
    for factor in reversed(factors):
        tree = factor.tree
        if found and isinstance(tree, Name) and is_function(tree, in_brackets):
            if len(found) > 1 and not in_brackets:
                raise UnreadableEquationError(r"what a function is of needs brackets, as in `\tanh(W x)`")
            tree = _call(tree, found.pop(0))
        found.insert(0, tree)
        in_brackets = factor.in_brackets
    return tuple(found)


def _call(function: Name, argument: Tree) -> Call:
    return Call(function, argument.parts if isinstance(argument, Arguments) else (argument,))
