"""Parses the LaTeX of an equation into a tree, and raises an error for anything that it does not know."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from rnnkit._messages import shorten
from rnnkit.equation._names import ABSOLUTE_VALUE, ACCENTS, FONTS, NAMES, WORDS, word
from rnnkit.equation._tokens import joined, lines_of
from rnnkit.equation._tree import (
    Arguments,
    Beside,
    Binary,
    Call,
    Fraction,
    Group,
    MalformedEquationError,
    Name,
    Number,
    Power,
    Stacked,
    Tree,
    Unary,
    UnreadableEquationError,
)

_CLOSING = {"(": ")", "[": "]", r"\{": r"\}"}
_LAYERED = (r"\frac", r"\sqrt")
_ENDS = {"", "}", *_CLOSING.values()}  # one of them in the wrong place is an error in any dialect of LaTeX
_OPERATORS: dict[str, Literal["*", ".", "/"]] = {r"\odot": "*", r"\circ": "*", r"\times": "*", r"\cdot": ".", "/": "/"}
_WITH_ARGUMENT = {*WORDS, *ACCENTS, *FONTS}
_TRANSPOSES = {"T", r"\top", r"\mathrm{T}"}
_POWER = re.compile(r"-?\d+(\.\d+)?(/\d+)?")
_FRACTION = re.compile(r"\\frac\{(-?\d+)\}\{(\d+)\}")
_NUMBER = re.compile(r"\d.*|\.\d+")
_PRODUCT_SIGN = r"write \odot for the element-wise product"
_SUBSCRIPT_HINT = "write braces around a subscript of several letters, as in W_{hh}"
_HINTS = {
    **dict.fromkeys(("*", r"\ast", r"\star", r"\otimes"), _PRODUCT_SIGN),
    "|": r"write \mathrm{abs}(a) for an absolute value inside another",
    **dict.fromkeys((r"\lVert", r"\|"), r"write a function such as \mathrm{norm}, whose value `symbols` gives"),
    r"\begin": r"write [a; b] for stacked columns",
}


class Reader:
    """A recursive-descent parser of one line.

    Each method raises `UnreadableEquationError` at an unexpected token.
    """

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = [*tokens, ""]
        self._at = 0
        self._in_bars = False

    @property
    def next(self) -> str:
        """The next token; empty at the end."""
        return self._tokens[self._at]

    def take(self, expected: str | None = None, hint: str = "") -> str:
        """Consume the next token, which must be `expected` if that is given."""
        token = self.next
        if expected is not None and token != expected:
            raise self._missing(expected, hint)
        if not token:
            raise self._unreadable()
        self._at += 1
        return token

    def end(self, hint: str = "") -> None:
        """Require the end of the line."""
        if self.next:
            raise self._unreadable(hint=hint)

    def sum(self) -> Tree:
        """Terms separated by `+` and `-`, with an optional sign before the first."""
        is_negative = self.next in ("+", "-") and self.take() == "-"
        tree = Unary("-", self._term()) if is_negative else self._term()
        while self.next in ("+", "-"):
            tree = Binary("+" if self.take() == "+" else "-", tree, self._term())
        return tree

    def _term(self) -> Tree:
        tree = self._side_by_side()
        while self.next in _OPERATORS:
            sign = _OPERATORS[self.take()]
            tree = Binary(sign, tree, self._divisor() if sign == "/" else self._side_by_side())
        return tree

    def _divisor(self) -> Tree:
        factor = self._factor()
        if self._starts_factor() or self.next in _OPERATORS:
            raise self._unreadable("after a division", r"write a \frac")
        return factor

    def _side_by_side(self) -> Tree:
        factors = [self._factor()]
        while self._starts_factor():
            if isinstance(factors[-1], Number) and _NUMBER.fullmatch(self.next):
                raise self._unreadable("as a second number", r"write \cdot between numbers")
            factors.append(self._factor())
        return factors[0] if len(factors) == 1 else Beside(tuple(factors))

    def _factor(self) -> Tree:
        tree = self._atom()
        return Power(tree, self._exponent()) if self.next == "^" else tree

    def _atom(self) -> Tree:
        if self.next in _CLOSING:
            return self._bracket()
        if self._opens_bars():
            return self._absolute_value()
        if self.next == "{":
            return self._invisible_braces()
        if self.next in _LAYERED:
            is_root = self.take() == r"\sqrt"
            return Unary("sqrt", self._braces()) if is_root else Fraction(self._braces(), self._braces())
        if self._tokens[self._at : self._at + 2] == ["e", "^"]:
            return self._exponential()
        return Number(self.take()) if _NUMBER.fullmatch(self.next) else Name(self.name())

    def _braces(self) -> Tree:
        self.take("{")
        tree = self.sum()
        self.take("}")
        return tree

    def _invisible_braces(self) -> Tree:
        self.take("{")
        factor = self._factor()
        self.take("}", "braces are invisible in LaTeX; write parentheses")
        return factor

    def _exponential(self) -> Tree:
        self.take("e")
        self.take("^")
        argument = self._braces() if self.next == "{" else Reader([self.take()]).sum()
        if self.next == "^":
            raise self._unreadable("in a second ^", "write brackets, as in `(e^{a})^2`")
        return Call(r"\exp", (argument,))

    def _bracket(self) -> Group:
        """An expression in brackets, concatenated columns in square brackets, or the arguments of a function."""
        start, opening = self._at, self.take()
        trees = [self.sum()]
        while self.next == "," or (self.next == ";" and opening == "["):
            self.take()
            trees.append(self.sum())
        self.take(_CLOSING[opening])
        several = Stacked if opening == "[" else Arguments
        whole = trees[0] if len(trees) == 1 else several(tuple(trees))
        return Group(whole, joined(self._tokens[start : self._at]))

    def _absolute_value(self) -> Call:
        self.take("|")
        self._in_bars = True
        tree = self.sum()
        self.take("|")
        self._in_bars = False
        return Call(ABSOLUTE_VALUE, (tree,))

    def _opens_bars(self) -> bool:
        """Whether a bar follows that does not close an earlier one."""
        return self.next == "|" and not self._in_bars

    def _starts_factor(self) -> bool:
        token = self.next
        structure = token in _CLOSING or self._opens_bars() or token in ("{", *_LAYERED)
        return structure or _NUMBER.fullmatch(token) is not None or self._starts_name()

    def _starts_name(self) -> bool:
        return self.next in NAMES or (len(self.next) == 1 and self.next.isascii() and self.next.isalpha())

    def name(self) -> str:
        r"""A name in its normalized form: `W_{ih}`, `\tilde{h}_t`, `\Delta t`, `\mathrm{relu}`."""
        if not self._starts_name():
            raise self._unreadable()
        base = self.take()
        if base in WORDS:
            base = word(self._script())
        elif base in _WITH_ARGUMENT:
            base = f"{base}{{{self._script()}}}"
        elif base == r"\Delta" and self.next == "t":  # a step size, not a product
            base = joined([base, self.take()])
        elif base == "e" and self.next == "^":
            raise UnreadableEquationError("`e^` is the exponential function: use another letter as a name")
        return base + self._scripts()

    def _scripts(self) -> str:
        """The subscript, the superscript and the primes of a name, in this order."""
        found = {"_": "", "^": "", "'": ""}
        while self.next in found and not self._next_exponent():
            sign = self.take()
            if found[sign] and sign != "'":
                raise self._unreadable(f"in a second {sign}")
            found[sign] += "'" if sign == "'" else _script_of(sign, self._script())
        return "".join(found.values())

    def _script(self) -> str:
        """The argument of a subscript, superscript, accent or font: one token, or the content of braces."""
        if self.next != "{":
            return self._unbraced_script()
        start = self._at + 1
        depth = 0
        while depth or self._at < start:
            each = self.take()
            depth += (each == "{") - (each == "}")
        return joined(self._tokens[start : self._at - 1])

    def _unbraced_script(self) -> str:
        token = self.take()
        if len(token) > 1 and _NUMBER.fullmatch(token):
            raise UnreadableEquationError(f"`{token}` needs braces, as in `x_{{12}}`: LaTeX reads `x_12` as `x_1 2`")
        return f"{token}{{{self._script()}}}" if token in _WITH_ARGUMENT else token

    def _next_exponent(self) -> str:
        """The number or the `T` of a transpose that follows as an exponent; empty for other superscripts of a name."""
        if self.next != "^":
            return ""
        ahead = Reader(self._tokens[self._at + 1 : -1])
        exponent = _FRACTION.sub(r"\1/\2", ahead._script())
        return "T" if exponent in _TRANSPOSES else exponent if _POWER.fullmatch(exponent) else ""

    def _exponent(self) -> str:
        exponent = self._next_exponent()
        if not exponent:
            raise self._unreadable("with an exponent that is not a number")
        self.take("^")
        self._script()
        return exponent

    def _unreadable(self, where: str = "", hint: str = "") -> UnreadableEquationError:
        what = f"`{self.next}`" if self.next else "the end of the line"
        hint = hint or _HINTS.get(self.next, "")
        return self._error(f"{what}{self._position()}{where and f' {where}'} cannot be read", hint)

    def _missing(self, expected: str, hint: str) -> UnreadableEquationError:
        at = f"before `{self.next}`" if self.next else "at the end of the line"
        return self._error(f"`{expected}` is missing {at}{self._position()}", hint)

    def _position(self) -> str:
        before = " ".join(self._tokens[max(0, self._at - 6) : self._at])
        return before and f" after `{before}`"

    def _error(self, message: str, hint: str) -> UnreadableEquationError:
        kind = MalformedEquationError if self.next in _ENDS else UnreadableEquationError
        return kind(f"{message}: {hint}" if hint else message)


def _script_of(sign: str, script: str) -> str:
    return f"{sign}{script}" if len(script) == 1 else f"{sign}{{{script}}}"


def name_of(latex: str) -> str:
    """Normalize a name, which LaTeX can spell in several ways: `W_{h}` is `W_h`, `h^{f}_t` is `h_t^f`.

    Raises:
        UnreadableEquationError: `latex` is not a single name.
    """
    reader = Reader([token for line in lines_of(latex) for token in line])
    name = reader.name()
    reader.end(_SUBSCRIPT_HINT if "_" in name else "")
    return name


class Line(NamedTuple):
    """The name on the left-hand side and the tree of the right-hand side."""

    name: str
    tree: Tree

    @classmethod
    def of(cls, tokens: list[str]) -> Line:
        """Parse the tokens of a line."""
        reader = Reader(tokens)
        name = reader.name()
        if not reader.next:  # a line of text is complete LaTeX
            line = shorten(" ".join(tokens), 200)
            raise UnreadableEquationError(f"`=` is missing at the end of the line after `{line}`")
        reader.take("=")
        tree = reader.sum()
        reader.end()
        return cls(name, tree)
