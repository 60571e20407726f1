r"""The syntax tree of an equation.

`\phi (x)` may be a function call or a product: the reader returns both as `Beside`, and `resolved` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from rnnkit.equation._names import FUNCTIONS
from rnnkit.errors import RnnkitError


class EquationError(RnnkitError, ValueError):
    """An equation cannot be evaluated: a symbol has no value, or shapes do not match."""


class UnreadableEquationError(RnnkitError, ValueError):
    """An equation contains LaTeX that rnnkit does not support, or that is ambiguous."""


class MalformedEquationError(UnreadableEquationError):
    """An equation has an unmatched bracket, or its line ends too early."""


@dataclass(frozen=True)
class Tree:
    """A node of the tree. Its operands are the fields that hold trees."""

    @property
    def children(self) -> tuple[Tree, ...]:
        """The operands, from left to right."""
        return tuple(child for field in vars(self).values() for child in _operands(field))

    def with_children(self, children: tuple[Tree, ...], /) -> Tree:
        """A copy with other operands."""
        each = iter(children)
        return replace(self, **{name: _replaced(field, each) for name, field in vars(self).items()})


def _operands(field: Any) -> tuple[Tree, ...]:
    return field if isinstance(field, tuple) else (field,) if isinstance(field, Tree) else ()


def _replaced(field: Any, each: Iterator[Tree]) -> Any:
    if isinstance(field, tuple):
        return tuple(next(each) for _ in field)
    return next(each) if isinstance(field, Tree) else field


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


@dataclass(frozen=True)
class Binary(Tree):
    r"""A binary operation: `*` is element-wise, `.` is `\cdot`, which may also stand between matrices."""

    sign: Literal["+", "-", "*", ".", "/"]
    left: Tree
    right: Tree


@dataclass(frozen=True)
class Power(Tree):
    """A power, whose exponent is a number or a fraction such as `1/2`, or a transpose, whose exponent is `T`."""

    base: Tree
    exponent: str

    @property
    def number(self) -> float:
        """The exponent of a power."""
        above, _, below = self.exponent.partition("/")
        return float(above) / float(below or 1)


@dataclass(frozen=True)
class Group(Tree):
    """An expression in visible brackets. In unresolved trees only.

    Attributes:
        of: the expression, `Stacked` columns, or `Arguments`.
        latex: the LaTeX, with the brackets.
    """

    of: Tree
    latex: str


@dataclass(frozen=True)
class Fraction(Tree):
    r"""A `\frac`, which delimits its parts as brackets do. In unresolved trees only."""

    above: Tree
    below: Tree


@dataclass(frozen=True)
class Beside(Tree):
    """Two or more adjacent factors, each a function of the next or multiplied by it. In unresolved trees only."""

    factors: tuple[Tree, ...]


@dataclass(frozen=True)
class Stacked(Tree):
    """Concatenated column vectors."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Arguments(Tree):
    """The arguments of a function."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Product(Tree):
    """A matrix product, evaluated from the left. In resolved trees only."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Call(Tree):
    """A function call."""

    function: str
    arguments: tuple[Tree, ...]


IsFunction: TypeAlias = Callable[[str, bool], bool]
"""Whether a name is a function, given the name and whether its next factor is in brackets."""


def names_in(tree: Tree) -> Iterator[str]:
    """The names in a tree, including functions, from left to right."""
    if isinstance(tree, Name):
        yield tree.name
    if isinstance(tree, Call):
        yield tree.function
    for child in tree.children:
        yield from names_in(child)


def resolved(tree: Tree, is_function: IsFunction) -> Tree:
    """Replace each `Beside` by a `Call` or a `Product`, each `Group` by its content, each `Fraction` by a division.

    Raises:
        UnreadableEquationError: it is ambiguous which factors are the argument of a function.
    """
    if isinstance(tree, Group):
        return resolved(tree.of, is_function)
    if isinstance(tree, Binary) and tree.sign in "*./":
        _refuse_open_call(tree.left, is_function)
    if isinstance(tree, Beside):
        factors = _with_calls(tree.factors, is_function)
        tree = factors[0] if len(factors) == 1 else Product(factors)
    if isinstance(tree, Fraction):
        tree = Binary("/", tree.above, tree.below)
    return tree.with_children(tuple(resolved(child, is_function) for child in tree.children))


def is_bracketed(tree: Tree) -> bool:
    """Whether a factor is in brackets, or a power of brackets."""
    return isinstance(tree.base if isinstance(tree, Power) else tree, Group)


def _with_calls(factors: tuple[Tree, ...], is_function: IsFunction) -> tuple[Tree, ...]:
    """A function takes the next factor, which needs brackets if more follow: `tanh W x` is ambiguous."""
    *before, last = factors
    found = [last]
    for factor in reversed(before):
        name = _applied_name(factor, found[0], is_function)
        if name and found[1:] and not is_bracketed(found[0]):
            raise _needs_brackets(name)
        found[:1] = [_call(name, factor, found[0])] if name else [factor, found[0]]
    return tuple(found)


def _applied_name(factor: Tree, following: Tree, is_function: IsFunction) -> str:
    r"""The function that a factor such as `\tanh` or `\tanh^2` applies to the next; empty if it is not a function."""
    name = factor.base if isinstance(factor, Power) else factor
    return name.name if isinstance(name, Name) and is_function(name.name, is_bracketed(following)) else ""


def _call(function: str, factor: Tree, argument: Tree) -> Tree:
    r"""A call; `\tanh(a)^2` and `\tanh^2(a)` are powers of a call."""
    match factor, argument:
        case Power(_, exponent), _:
            if isinstance(argument, Power) or exponent in ("-1", "T") or function not in FUNCTIONS:
                raise _ambiguous_power(function, exponent)
            return Power(_plain_call(function, argument), exponent)
        case _, Power(Group() as argument, exponent):
            return Power(_plain_call(function, argument), exponent)
        case _, Power(_, exponent):
            raise _ambiguous_power(function, exponent)
    return _plain_call(function, argument)


def _plain_call(function: str, argument: Tree) -> Call:
    inside = argument.of if isinstance(argument, Group) else argument
    return Call(function, inside.parts if isinstance(inside, Arguments) else (inside,))


def _refuse_open_call(left: Tree, is_function: IsFunction) -> None:
    r"""`\tanh a \odot b` may be tanh(a) b or tanh(a b)."""
    last = left.right if isinstance(left, Binary) else left
    pairs = zip(last.factors, last.factors[1:], strict=False) if isinstance(last, Beside) else ()
    for factor, following in pairs:
        name = _applied_name(factor, following, is_function)
        if name and not is_bracketed(following):
            raise _needs_brackets(name)


def _needs_brackets(function: str) -> UnreadableEquationError:
    return UnreadableEquationError(f"the argument of a function needs brackets here, as in `{function}(a)`")


def _ambiguous_power(function: str, exponent: str) -> UnreadableEquationError:
    power = exponent if len(exponent) == 1 else f"{{{exponent}}}"
    return UnreadableEquationError(
        f"the power next to `{function}` is ambiguous: write `{function}(a)^{power}` for a power of the value, "
        f"`{function}(a^{power})` for a power of the argument"
    )
