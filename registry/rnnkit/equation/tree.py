r"""What an equation says, as a tree: how its parts are put together, before any of them has a value.

A tree is read as it is written. `\phi (x)` may be a function of x or a product, and `resolved` tells which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from rnnkit.equation.tokens import UnreadableEquationError


class Tree:
    """A part of an equation."""

    @property
    def children(self) -> tuple[Tree, ...]:
        """What it is put together from, from left to right; the function of a `Call` is none of it."""
        return ()

    def with_children(self, _children: tuple[Tree, ...], /) -> Tree:
        """The same put together from others."""
        return self


@dataclass(frozen=True)
class Name(Tree):
    """A symbol, in the form of `name_of`."""

    name: str


@dataclass(frozen=True)
class Number(Tree):
    """A number as it is written."""

    digits: str


@dataclass(frozen=True)
class Unary(Tree):
    """`-` before something, or the root of it."""

    sign: Literal["-", "sqrt"]
    of: Tree

    @property
    def children(self) -> tuple[Tree, ...]:
        return (self.of,)

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        return Unary(self.sign, *children)


@dataclass(frozen=True)
class Binary(Tree):
    r"""Something between two others: `*` is feature by feature, `.` is `\cdot`, which may also be between matrices."""

    sign: Literal["+", "-", "*", ".", "/"]
    left: Tree
    right: Tree

    @property
    def children(self) -> tuple[Tree, ...]:
        return (self.left, self.right)

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        return Binary(self.sign, *children)


@dataclass(frozen=True)
class Power(Tree):
    """A power, whose exponent is a number or a fraction of two, such as `1/2`."""

    base: Tree
    exponent: str

    @property
    def number(self) -> float:
        """The exponent."""
        above, _, below = self.exponent.partition("/")
        return float(above) / float(below or 1)

    @property
    def children(self) -> tuple[Tree, ...]:
        return (self.base,)

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        return Power(children[0], self.exponent)


class Factor(NamedTuple):
    """One of several things side by side."""

    tree: Tree
    in_brackets: bool


@dataclass(frozen=True)
class Beside(Tree):
    """Things side by side, some of which may be functions of the next. There are at least two."""

    factors: tuple[Factor, ...]

    @property
    def children(self) -> tuple[Tree, ...]:
        return tuple(factor.tree for factor in self.factors)

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        pairs = zip(children, self.factors, strict=True)
        return Beside(tuple(Factor(child, factor.in_brackets) for child, factor in pairs))


@dataclass(frozen=True)
class _Several(Tree):
    """Parts of one sort."""

    parts: tuple[Tree, ...]

    @property
    def children(self) -> tuple[Tree, ...]:
        return self.parts

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        return type(self)(children)


class Stacked(_Several):
    """Columns one above the other."""


class Arguments(_Several):
    """What a function of several is given, in brackets."""


class Product(_Several):
    """Things multiplied as matrices are, from the left. Only in a resolved tree."""


@dataclass(frozen=True)
class Call(Tree):
    """A function of one thing or several. Only in a resolved tree."""

    function: Name
    arguments: tuple[Tree, ...]

    @property
    def children(self) -> tuple[Tree, ...]:
        return self.arguments

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        return Call(self.function, children)


IsFunction: TypeAlias = Callable[[Name, bool], bool]
"""Whether a name stands for a function, told the name and whether brackets come next."""


def names_in(tree: Tree) -> Iterator[str]:
    """The names in a tree, functions among them, from left to right."""
    if isinstance(tree, Name):
        yield tree.name
    if isinstance(tree, Call):
        yield tree.function.name
    for child in tree.children:
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
    return tree.with_children(tuple(resolved(child, is_function) for child in tree.children))


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
