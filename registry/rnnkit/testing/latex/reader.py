"""Reads the LaTeX of one line of an equation into a function that computes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit.testing.latex.tokens import UnreadableEquationError
from rnnkit.testing.latex.values import (
    MEANINGS,
    EquationError,
    Value,
    applied,
    combined,
    concatenated,
    power,
    product,
    value_of,
)

Values = Mapping[str, Any]
Node = Callable[[Values], Any]
"""What a piece of LaTeX is, given what its names are."""

_CLOSING = {"(": ")", "[": "]", r"\{": r"\}", "{": "}"}
_TIMES = {r"\odot", r"\circ", r"\times"}  # feature by feature
_FRACTIONS = {r"\frac", r"\dfrac", r"\tfrac"}
_ROOT = r"\sqrt"
_WORDS = {r"\operatorname", r"\mathrm", r"\mathsf", r"\mathit"}  # what is in their braces is one word
_ACCENTS = {r"\tilde", r"\hat", r"\bar", r"\dot", r"\vec", r"\check", r"\widetilde", r"\widehat", r"\overline"}
_FONTS = {r"\mathbf", r"\boldsymbol", r"\bm", r"\mathcal", r"\mathbb", r"\mathfrak"}
_GREEK = (
    r"\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa \lambda \mu \nu \xi \pi "
    r"\rho \sigma \tau \upsilon \phi \varphi \chi \psi \omega \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon "
    r"\Phi \Psi \Omega \ell"
)
_NAMES = {*_GREEK.split(), *_ACCENTS, *_FONTS, *_WORDS, *MEANINGS}
_TRANSPOSES = {"^T", r"^{\top}", r"^{\intercal}"}
_POWER = re.compile(r"-?\d+(\.\d+)?(/\d+)?")
_NUMBER = re.compile(r"\d.*|\.\d+")


class _Factor(NamedTuple):
    """One of several things side by side."""

    node: Node
    in_brackets: bool


class Reader:
    """Reads the tokens of one line, from the loosest bond to the closest.

    Each method raises `UnreadableEquationError` at a token that cannot stand there.

    Attributes:
        used: the names that it has read as part of a sum.
    """

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = [*tokens, ""]
        self._at = 0
        self.used: list[str] = []

    @property
    def next(self) -> str:
        """The token that comes next; empty at the end."""
        return self._tokens[self._at]

    def take(self, expected: str | None = None) -> str:
        """Go past the next token, which must be the one that is expected, or at least some token."""
        token = self.next
        if not token or expected not in (None, token):
            raise self._unreadable("" if expected is None else f"where `{expected}` should stand")
        self._at += 1
        return token

    def end(self) -> None:
        """Nothing more may come."""
        if self.next:
            raise self._unreadable()

    def sum(self) -> Node:
        """Terms with `+` and `-` between them, and perhaps a sign before the first."""
        is_negative = self.next in ("+", "-") and self.take() == "-"
        node = _computed(torch.neg, self._term()) if is_negative else self._term()
        while self.next in ("+", "-"):
            node = _computed(torch.add if self.take() == "+" else torch.sub, node, self._term())
        return node

    def _term(self) -> Node:
        node = self._side_by_side()
        while True:
            if self.next in _TIMES:
                self.take()
                node = _computed(torch.mul, node, self._side_by_side())
            elif self.next == r"\cdot":
                self.take()
                node = _dotted(node, self._side_by_side())
            elif self.next == "/":
                self.take()
                node = _computed(torch.div, node, self._divisor())
            else:
                return node

    def _divisor(self) -> Node:
        factor = self._factor()
        if self._starts_factor():
            raise self._unreadable(r"as part of a divisor, which needs \frac,")
        return factor.node

    def _side_by_side(self) -> Node:
        factors = [self._factor()]
        while self._starts_factor():
            factors.append(self._factor())
        return lambda values: _multiplied(_with_functions_applied(factors, values))

    def _factor(self) -> _Factor:
        in_brackets = self.next in _CLOSING
        node = self._atom()
        if self.next != "^":
            return _Factor(node, in_brackets)
        exponent = self._exponent()
        return _Factor(lambda values: power(_only(node(values)), exponent), in_brackets)

    def _atom(self) -> Node:
        if self.next in _CLOSING:
            return self._bracket()
        if self.next in _FRACTIONS:
            self.take()
            return _computed(torch.div, self._braces(), self._braces())
        if self.next == _ROOT:
            self.take()
            return _computed(torch.sqrt, self._braces())
        return self._number() if _NUMBER.fullmatch(self.next) else self._symbol()

    def _number(self) -> Node:
        number = value_of(float(self.take()))
        return lambda _values: number

    def _symbol(self) -> Node:
        name = self.name()
        self.used.append(name)
        return lambda values: _looked_up(name, values)

    def _braces(self) -> Node:
        self.take("{")
        node = self.sum()
        self.take("}")
        return node

    def _bracket(self) -> Node:
        """One thing in brackets, one column above another in square ones, or the arguments of a function."""
        opening = self.take()
        nodes = [self.sum()]
        while self.next == "," or (self.next == ";" and opening == "["):
            self.take()
            nodes.append(self.sum())
        self.take(_CLOSING[opening])
        if len(nodes) == 1:
            return nodes[0]
        join: Callable[[list[Value]], Any] = concatenated if opening == "[" else list
        return lambda values: join([_only(node(values)) for node in nodes])

    def _starts_factor(self) -> bool:
        token = self.next
        structure = token in _CLOSING or token in _FRACTIONS or token == _ROOT
        return structure or _NUMBER.fullmatch(token) is not None or self._starts_name()

    def _starts_name(self) -> bool:
        return self.next in _NAMES or (len(self.next) == 1 and self.next.isascii() and self.next.isalpha())

    def name(self) -> str:
        r"""A name in its one form: `W_{ih}`, `\tilde{h}_t`, `\mathrm{relu}`."""
        if not self._starts_name():
            raise self._unreadable()
        base = self.take()
        if base in _WORDS:
            word = f"\\mathrm{{{self._script()}}}"
            base = word.lower() if word.lower() in MEANINGS else word
        elif base in _ACCENTS | _FONTS:
            base = f"{base}{{{self._script()}}}"
        return base + self._scripts(base)

    def _scripts(self, base: str) -> str:
        """The subscript, the superscript and the primes after a name, in this order, as far as it has them."""
        found = {"_": "", "^": "", "'": ""}
        while self.next in found and not self._at_power():
            sign = self.take()
            if found[sign] and sign != "'":
                raise self._unreadable(f"in a second {sign}")
            found[sign] += "'" if sign == "'" else _script_of(sign, self._script())
            if found["^"] in _TRANSPOSES:
                raise UnreadableEquationError(f"`{base}{found['^']}` cannot be read: it would be a transpose")
        return "".join(found.values())

    def _script(self) -> str:
        """What belongs to a subscript, a superscript, an accent or a font: one token, or what is in braces."""
        if self.next != "{":
            return self.take()
        self.take()
        found, depth = "", 1
        while depth:
            each = self.take()
            depth += (each == "{") - (each == "}")
            found += each
        return found[:-1]

    def _at_power(self) -> bool:
        """Whether a number comes next as an exponent; other superscripts are part of a name."""
        if self.next != "^":
            return False
        ahead = Reader(self._tokens[self._at + 1 : -1])
        return _POWER.fullmatch(ahead._script()) is not None

    def _exponent(self) -> float:
        if not self._at_power():
            raise self._unreadable("before something that is not a number")
        self.take("^")
        above, _, below = self._script().partition("/")
        return float(above) / float(below or 1)

    def _unreadable(self, where: str = "") -> UnreadableEquationError:
        what = f"`{self.next}`" if self.next else "the end of the line"
        before = " ".join(self._tokens[max(0, self._at - 6) : self._at])
        parts = (what, before and f"after `{before}`", where, "cannot be read")
        return UnreadableEquationError(" ".join(filter(None, parts)))


def _computed(operation: Callable[..., Tensor], *nodes: Node) -> Node:
    return lambda values: combined(operation, *(_only(node(values)) for node in nodes))


def _dotted(left: Node, right: Node) -> Node:
    r"""What `\cdot` is between: a product feature by feature of columns, and that of matrices otherwise."""

    def node(values: Values) -> Value:
        a, b = _only(left(values)), _only(right(values))
        return combined(torch.mul, a, b) if a.axes == b.axes == 1 else product(a, b)

    return node


def _with_functions_applied(factors: list[_Factor], values: Values) -> list[Any]:
    """What the factors are. A function takes the next, which needs brackets if there are more: not `tanh W x`."""
    found: list[Any] = []
    in_brackets = True  # the leftmost that was found
    for factor in reversed(factors):
        value = factor.node(values)
        if callable(value) and found:
            if len(found) > 1 and not in_brackets:
                raise UnreadableEquationError(r"what a function is of needs brackets, as in `\tanh(W x)`")
            argument = found.pop(0)
            value = applied(value, argument if isinstance(argument, list) else [_only(argument)])
        found.insert(0, value)
        in_brackets = factor.in_brackets
    return found


def _multiplied(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else reduce(product, map(_only, values))


def _only(value: Any) -> Value:
    """The value, which must be one."""
    if isinstance(value, Value):
        return value
    raise UnreadableEquationError("a function without its argument, or arguments without a function, cannot be read")


def _looked_up(name: str, values: Values) -> Any:
    if name not in values:
        raise EquationError(f"{name} has no value")
    return values[name]


def _script_of(sign: str, script: str) -> str:
    return f"{sign}{script}" if len(script) == 1 else f"{sign}{{{script}}}"
