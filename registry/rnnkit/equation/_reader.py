"""Parses the LaTeX of an equation into a tree, and raises an error for anything that it does not know."""

from __future__ import annotations

import re
from typing import NamedTuple

from rnnkit.equation._tree import (
    Arguments,
    Beside,
    Binary,
    Factor,
    Name,
    Number,
    Power,
    Stacked,
    Tree,
    Unary,
    UnreadableEquationError,
)

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\.\d+|[^\s&~]")
# Commands that affect the layout only.
_LAYOUT = re.compile(r"\\[,;:!> ]|\\(?:q?quad|left|right|[bB]igg?[lrm]?|displaystyle|textstyle|nonumber)(?![A-Za-z])")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{(?:aligned|align|split|gathered|gather|equation)\*?\}")
_LINE_END = re.compile(r"\\\\(?:\[[^\]]*\])?")

_CLOSING = {"(": ")", "[": "]", r"\{": r"\}", "{": "}"}
_TIMES = {r"\odot", r"\circ", r"\times"}  # element-wise
_FRACTIONS = {r"\frac", r"\dfrac", r"\tfrac"}
_ROOT = r"\sqrt"
_WORDS = {r"\operatorname", r"\mathrm", r"\mathsf", r"\mathit"}  # their argument is one word
_LAYER_NORM = r"\mathrm{LN}"  # not the logarithm, although `ReLU` is `relu`
_ACCENTS = {r"\tilde", r"\hat", r"\bar", r"\dot", r"\vec", r"\check", r"\widetilde", r"\widehat", r"\overline"}
_FONTS = {r"\mathbf", r"\boldsymbol", r"\bm", r"\mathcal", r"\mathbb", r"\mathfrak"}
_GREEK = (
    r"\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa \lambda \mu \nu \xi \pi "
    r"\rho \sigma \tau \upsilon \phi \varphi \chi \psi \omega \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon "
    r"\Phi \Psi \Omega \ell"
)
_MATH_FUNCTIONS = ("tanh", "exp", "log", "ln", "sin", "cos", "sinh", "cosh", "max", "min")
_WORD_FUNCTIONS = (*_MATH_FUNCTIONS, "sigmoid", "relu", "softplus", "silu", "gelu", "elu", "sign", "softmax")
FUNCTIONS = frozenset(
    {r"\sigma", *(f"\\{name}" for name in _MATH_FUNCTIONS), *(f"\\mathrm{{{name}}}" for name in _WORD_FUNCTIONS)}
)
"""The names of functions that have the same meaning in every equation."""
_NAMES = {*_GREEK.split(), *_ACCENTS, *_FONTS, *_WORDS, *FUNCTIONS}
_TRANSPOSES = {"^T", r"^{\top}", r"^{\intercal}"}
_POWER = re.compile(r"-?\d+(\.\d+)?(/\d+)?")
_NUMBER = re.compile(r"\d.*|\.\d+")


def lines_of(latex: str) -> list[list[str]]:
    r"""The tokens of each line, which ends in `\\`. Empty lines are left out."""
    lines = (_tokens(line) for line in _LINE_END.split(_ENVIRONMENT.sub("", latex)))
    return [line for line in lines if line]


def _tokens(line: str) -> list[str]:
    tokens = _TOKEN.findall(_LAYOUT.sub(" ", line))
    return tokens[:-1] if tokens and tokens[-1] in ",.;" else tokens


class Reader:
    """A recursive-descent parser of one line.

    Each method raises `UnreadableEquationError` at an unexpected token.
    """

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = [*tokens, ""]
        self._at = 0

    @property
    def next(self) -> str:
        """The next token; empty at the end."""
        return self._tokens[self._at]

    def take(self, expected: str | None = None) -> str:
        """Consume the next token, which must be `expected` if that is given."""
        token = self.next
        if not token or expected not in (None, token):
            raise self._unreadable("" if expected is None else f"where `{expected}` is expected")
        self._at += 1
        return token

    def end(self) -> None:
        """Require the end of the line."""
        if self.next:
            raise self._unreadable()

    def sum(self) -> Tree:
        """Terms separated by `+` and `-`, with an optional sign before the first."""
        is_negative = self.next in ("+", "-") and self.take() == "-"
        tree = Unary("-", self._term()) if is_negative else self._term()
        while self.next in ("+", "-"):
            tree = Binary("+" if self.take() == "+" else "-", tree, self._term())
        return tree

    def _term(self) -> Tree:
        tree = self._side_by_side()
        while True:
            if self.next in _TIMES:
                self.take()
                tree = Binary("*", tree, self._side_by_side())
            elif self.next == r"\cdot":
                self.take()
                tree = Binary(".", tree, self._side_by_side())
            elif self.next == "/":
                self.take()
                tree = Binary("/", tree, self._divisor())
            else:
                return tree

    def _divisor(self) -> Tree:
        factor = self._factor()
        if self._starts_factor():
            raise self._unreadable(r"as part of a divisor, which requires \frac,")
        return factor.tree

    def _side_by_side(self) -> Tree:
        factors = [self._factor()]
        while self._starts_factor():
            factors.append(self._factor())
        return factors[0].tree if len(factors) == 1 else Beside(tuple(factors))

    def _factor(self) -> Factor:
        in_brackets = self.next in _CLOSING
        tree = self._atom()
        if self.next == "^":
            tree = Power(tree, self._exponent())
        return Factor(tree, in_brackets)

    def _atom(self) -> Tree:
        if self.next in _CLOSING:
            return self._bracket()
        if self.next in _FRACTIONS:
            self.take()
            return Binary("/", self._braces(), self._braces())
        if self.next == _ROOT:
            self.take()
            return Unary("sqrt", self._braces())
        return Number(self.take()) if _NUMBER.fullmatch(self.next) else Name(self.name())

    def _braces(self) -> Tree:
        self.take("{")
        tree = self.sum()
        self.take("}")
        return tree

    def _bracket(self) -> Tree:
        """An expression in brackets, concatenated columns in square brackets, or the arguments of a function."""
        opening = self.take()
        trees = [self.sum()]
        while self.next == "," or (self.next == ";" and opening == "["):
            self.take()
            trees.append(self.sum())
        self.take(_CLOSING[opening])
        if len(trees) == 1:
            return trees[0]
        return (Stacked if opening == "[" else Arguments)(tuple(trees))

    def _starts_factor(self) -> bool:
        token = self.next
        structure = token in _CLOSING or token in _FRACTIONS or token == _ROOT
        return structure or _NUMBER.fullmatch(token) is not None or self._starts_name()

    def _starts_name(self) -> bool:
        return self.next in _NAMES or (len(self.next) == 1 and self.next.isascii() and self.next.isalpha())

    def name(self) -> str:
        r"""A name in its normalized form: `W_{ih}`, `\tilde{h}_t`, `\mathrm{relu}`."""
        if not self._starts_name():
            raise self._unreadable()
        base = self.take()
        if base in _WORDS:
            word = f"\\mathrm{{{self._script()}}}"
            base = word.lower() if word.lower() in FUNCTIONS and word != _LAYER_NORM else word
        elif base in _ACCENTS | _FONTS:
            base = f"{base}{{{self._script()}}}"
        return base + self._scripts(base)

    def _scripts(self, base: str) -> str:
        """The subscript, the superscript and the primes of a name, in this order."""
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
        """The argument of a subscript, superscript, accent or font: one token, or the content of braces."""
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
        """Whether a number follows as an exponent; other superscripts are part of the name."""
        if self.next != "^":
            return False
        ahead = Reader(self._tokens[self._at + 1 : -1])
        return _POWER.fullmatch(ahead._script()) is not None

    def _exponent(self) -> str:
        if not self._at_power():
            raise self._unreadable("with an exponent that is not a number")
        self.take("^")
        return self._script()

    def _unreadable(self, where: str = "") -> UnreadableEquationError:
        what = f"`{self.next}`" if self.next else "the end of the line"
        before = " ".join(self._tokens[max(0, self._at - 6) : self._at])
        parts = (what, before and f"after `{before}`", where, "cannot be read")
        return UnreadableEquationError(" ".join(filter(None, parts)))


def _script_of(sign: str, script: str) -> str:
    return f"{sign}{script}" if len(script) == 1 else f"{sign}{{{script}}}"


def name_of(latex: str) -> str:
    """Normalize a name, which LaTeX can spell in several ways: `W_{h}` is `W_h`, `h^{f}_t` is `h_t^f`.

    Raises:
        UnreadableEquationError: `latex` is not a single name.
    """
    reader = Reader([token for line in lines_of(latex) for token in line])
    name = reader.name()
    reader.end()
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
        reader.take("=")
        tree = reader.sum()
        reader.end()
        return cls(name, tree)
