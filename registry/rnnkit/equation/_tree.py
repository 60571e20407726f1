r"""The syntax tree of an equation.

`\phi (x)` may be a function call or a product: the reader returns both as `Beside`, and `resolved` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from rnnkit.errors import RnnkitError


class EquationError(RnnkitError, ValueError):
    """An equation cannot be evaluated: a symbol has no value, or shapes do not match."""


class UnreadableEquationError(RnnkitError, ValueError):
    """An equation contains LaTeX that rnnkit does not support."""


class Tree:
    """A node of the tree."""

    @property
    def children(self) -> tuple[Tree, ...]:
        """The operands, from left to right; without the function of a `Call`."""
        return ()

    def with_children(self, _children: tuple[Tree, ...], /) -> Tree:
        """A copy with other operands."""
        return self


@dataclass(frozen=True)
class Name(Tree):
    """A symbol, as `name_of` normalizes it."""

    name: str


@dataclass(frozen=True)
class Number(Tree):
    """A number, as written."""

    digits: str


@dataclass(frozen=True)
class Unary(Tree):
    """A minus sign, or a square root."""

    sign: Literal["-", "sqrt"]
    of: Tree

    @property
    def children(self) -> tuple[Tree, ...]:
        return (self.of,)

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        return Unary(self.sign, *children)


@dataclass(frozen=True)
class Binary(Tree):
    r"""A binary operation: `*` is element-wise, `.` is `\cdot`, which may also stand between matrices."""

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
    """A power; the exponent is a number or a fraction such as `1/2`."""

    base: Tree
    exponent: str

    @property
    def number(self) -> float:
        above, _, below = self.exponent.partition("/")
        return float(above) / float(below or 1)

    @property
    def children(self) -> tuple[Tree, ...]:
        return (self.base,)

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        return Power(children[0], self.exponent)


class Factor(NamedTuple):
    """One of several adjacent factors."""

    tree: Tree
    in_brackets: bool


@dataclass(frozen=True)
class Beside(Tree):
    """Two or more adjacent factors, each a function of the next or multiplied with it."""

    factors: tuple[Factor, ...]

    @property
    def children(self) -> tuple[Tree, ...]:
        return tuple(factor.tree for factor in self.factors)

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        pairs = zip(children, self.factors, strict=True)
        return Beside(tuple(Factor(child, factor.in_brackets) for child, factor in pairs))


@dataclass(frozen=True)
class _Several(Tree):
    parts: tuple[Tree, ...]

    @property
    def children(self) -> tuple[Tree, ...]:
        return self.parts

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        return type(self)(children)


class Stacked(_Several):
    """Concatenated column vectors."""


class Arguments(_Several):
    """The arguments of a function, in parentheses."""


class Product(_Several):
    """A matrix product, evaluated from the left. In resolved trees only."""


@dataclass(frozen=True)
class Call(Tree):
    """A function call. In resolved trees only."""

    function: Name
    arguments: tuple[Tree, ...]

    @property
    def children(self) -> tuple[Tree, ...]:
        return self.arguments

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        return Call(self.function, children)


IsFunction: TypeAlias = Callable[[Name, bool], bool]
"""Whether a name is a function, given the name and whether its next factor is in parentheses."""


def names_in(tree: Tree) -> Iterator[str]:
    """The names in a tree, including functions, from left to right."""
    if isinstance(tree, Name):
        yield tree.name
    if isinstance(tree, Call):
        yield tree.function.name
    for child in tree.children:
        yield from names_in(child)


def resolved(tree: Tree, is_function: IsFunction) -> Tree:
    """Replace each `Beside` by a `Call` or a `Product`.

    Raises:
        UnreadableEquationError: the argument of a function is a product without parentheses.
    """
    if isinstance(tree, Beside):
        factors = _with_calls(tree.factors, is_function)
        whole = factors[0] if len(factors) == 1 else Product(factors)
        return resolved(whole, is_function)
    return tree.with_children(tuple(resolved(child, is_function) for child in tree.children))


def _with_calls(factors: tuple[Factor, ...], is_function: IsFunction) -> tuple[Tree, ...]:
    """A function takes the next factor, which needs parentheses if more follow: `tanh W x` is ambiguous."""
    found: list[Tree] = []
    in_brackets = True  # the leftmost factor so far
    for factor in reversed(factors):
        tree = factor.tree
        if found and isinstance(tree, Name) and is_function(tree, in_brackets):
            if len(found) > 1 and not in_brackets:
                raise UnreadableEquationError(r"the argument of a function needs parentheses, as in `\tanh(W x)`")
            tree = _call(tree, found.pop(0))
        found.insert(0, tree)
        in_brackets = factor.in_brackets
    return tuple(found)


def _call(function: Name, argument: Tree) -> Call:
    return Call(function, argument.parts if isinstance(argument, Arguments) else (argument,))
