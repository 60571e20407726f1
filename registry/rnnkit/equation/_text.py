r"""Prints equations as text: `\phi(W_{ih} x_t)` becomes `φ(W_ih x_t)`."""

from __future__ import annotations

import re
import unicodedata
from functools import singledispatch

from rnnkit.equation._equation import Equation
from rnnkit.equation._reader import FUNCTIONS
from rnnkit.equation._tree import Arguments, Beside, Binary, Factor, Name, Number, Power, Stacked, Tree, Unary
from rnnkit.equation._tree import UnreadableEquationError as _Unreadable

_SYMBOLS = {
    r"\lambda": "λ",  # whose name in Unicode is LAMDA
    r"\varepsilon": "ε",
    r"\vartheta": "ϑ",
    r"\varphi": "φ",
    r"\ell": "\N{SCRIPT SMALL L}",
    r"\ast": "*",
}
_ACCENTS = {
    "bar": "\N{COMBINING MACRON}",
    "overline": "\N{COMBINING MACRON}",
    "hat": "\N{COMBINING CIRCUMFLEX ACCENT}",
    "widehat": "\N{COMBINING CIRCUMFLEX ACCENT}",
    "tilde": "\N{COMBINING TILDE}",
    "widetilde": "\N{COMBINING TILDE}",
    "dot": "\N{COMBINING DOT ABOVE}",
    "vec": "\N{COMBINING RIGHT ARROW ABOVE}",
    "check": "\N{COMBINING CARON}",
}
_OPERATORS = {"+": "+", "-": "-", "*": "⊙", ".": "·", "/": "/"}
_SUM, _TERM, _ADJACENT, _POWER = range(4)  # precedence of operations; a larger one binds closer
_COMMAND = re.compile(r"\\([A-Za-z]+)(?:\{([^{}]*)\})?")
_SCRIPT = re.compile(r"([_^])(?:\{((?:[^{}]|\{[^{}]*\})*)\}|(.))")


def equation_text(latex: str) -> str:
    """The equation as text, one line each; the lines of `latex` if rnnkit cannot parse them."""
    try:
        return "\n".join(f"{_name_text(line.name)} = {_print(line.tree)}" for line in Equation(latex).lines)
    except _Unreadable:
        return "\n".join(line.strip() for line in latex.split(r"\\") if line.strip())


def _name_text(name: str) -> str:
    r"""A normalized name as text: `W_ih` for `W_{ih}`, `h_(t-1)` for `h_{t-1}`."""
    return _COMMAND.sub(_command_text, _SCRIPT.sub(_script_text, name))


def _script_text(match: re.Match[str]) -> str:
    script = _COMMAND.sub(_command_text, match[2] or match[3])
    bare = script.isalnum() or (script.startswith("(") and script.endswith(")"))
    return match[1] + (script if bare else f"({script})")


def _command_text(match: re.Match[str]) -> str:
    command, argument = match.groups()
    if argument is not None:  # an accent, or a font, which text does not show
        return _COMMAND.sub(_command_text, argument) + _ACCENTS.get(command, "")
    return _SYMBOLS.get(match[0]) or _greek_letter(command) or command


def _greek_letter(name: str) -> str:
    try:
        return unicodedata.lookup(f"GREEK {'SMALL' if name.islower() else 'CAPITAL'} LETTER {name.upper()}")
    except KeyError:
        return ""


@singledispatch
def _print(tree: Tree) -> str:
    raise AssertionError(f"an unresolved tree has no {type(tree).__name__}")


@_print.register
def _(tree: Name) -> str:
    return _name_text(tree.name)


@_print.register
def _(tree: Number) -> str:
    return tree.digits


@_print.register
def _(tree: Unary) -> str:
    return f"√({_print(tree.of)})" if tree.sign == "sqrt" else f"-{_operand(tree.of, _TERM)}"


@_print.register
def _(tree: Binary) -> str:
    precedence = _precedence(tree)
    left = _operand(tree.left, precedence)
    return f"{left} {_OPERATORS[tree.sign]} {_operand(tree.right, precedence + 1)}"


@_print.register
def _(tree: Power) -> str:
    exponent = tree.exponent if tree.exponent.isalnum() else f"({tree.exponent})"
    return f"{_operand(tree.base, _POWER + 1)}^{exponent}"


@_print.register
def _(tree: Stacked) -> str:
    return f"[{'; '.join(map(_print, tree.parts))}]"


@_print.register
def _(tree: Arguments) -> str:
    return f"({', '.join(map(_print, tree.parts))})"


@_print.register
def _(tree: Beside) -> str:
    text = _factor_text(tree.factors[0])
    for before, factor in zip(tree.factors, tree.factors[1:], strict=False):
        text += ("" if _is_call(before, factor) else " ") + _factor_text(factor)
    return text


def _factor_text(factor: Factor) -> str:
    in_brackets = factor.in_brackets and not isinstance(factor.tree, Arguments | Stacked)
    return f"({_print(factor.tree)})" if in_brackets else _operand(factor.tree, _POWER)


def _is_call(before: Factor, factor: Factor) -> bool:
    """Whether a factor is the argument of the one before it, in parentheses."""
    return factor.in_brackets and isinstance(before.tree, Name) and _may_be_function(before.tree.name)


def _may_be_function(name: str) -> bool:
    r"""Functions without a fixed meaning, such as `\phi` and `\mathrm{norm}`, have no scripts."""
    return name in FUNCTIONS or re.fullmatch(r"\\[a-zA-Z]+(\{[^{}]*\})?", name) is not None


def _operand(tree: Tree, precedence: int) -> str:
    return _print(tree) if _precedence(tree) >= precedence else f"({_print(tree)})"


def _precedence(tree: Tree) -> int:
    if isinstance(tree, Binary):
        return _SUM if tree.sign in "+-" else _TERM
    if isinstance(tree, Unary) and tree.sign == "-":
        return _SUM
    if isinstance(tree, Beside):
        return _ADJACENT
    return _POWER if isinstance(tree, Power) else _POWER + 1
