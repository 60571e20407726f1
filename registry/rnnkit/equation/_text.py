r"""Prints equations as text: `\phi(W_{ih} x_t)` becomes `φ(W_ih x_t)`."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from rnnkit.equation._equation import Equation
from rnnkit.equation._names import ABSOLUTE_VALUE, ACCENTS, FUNCTIONS
from rnnkit.equation._tree import (
    Arguments,
    Beside,
    Binary,
    Call,
    Fraction,
    Group,
    Name,
    Number,
    Power,
    Stacked,
    Tree,
    Unary,
    UnreadableEquationError,
    is_bracketed,
)

_SYMBOLS = {
    r"\lambda": "λ",  # whose name in Unicode is LAMDA
    r"\varepsilon": "ε",
    r"\vartheta": "ϑ",
    r"\varphi": "φ",
    r"\ell": "\N{SCRIPT SMALL L}",
    r"\langle": "\N{MATHEMATICAL LEFT ANGLE BRACKET}",
    r"\rangle": "\N{MATHEMATICAL RIGHT ANGLE BRACKET}",
}
_OPERATORS = {"+": "+", "-": "-", "*": "⊙", ".": "·", "/": "/"}
_SUM, _TERM, _ADJACENT, _POWER = range(4)  # precedence of operations; a larger one binds closer
_COMMAND = re.compile(r"\\([A-Za-z]+)(?:\{([^{}]*)\}| )?")
_SCRIPT = re.compile(r"([_^])(?:\{((?:[^{}]|\{[^{}]*\})*)\}|(.))")


def equation_text(latex: str) -> str:
    """The equation as text, one line each; the lines of `latex` if rnnkit cannot parse them."""
    try:
        return "\n".join(f"{_name_text(line.name)} = {_print(line.tree)}" for line in Equation(latex).lines)
    except UnreadableEquationError:
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
        return _COMMAND.sub(_command_text, argument) + ACCENTS.get(f"\\{command}", "")
    return _SYMBOLS.get(match[0].rstrip()) or _greek_letter(command) or command


def _greek_letter(name: str) -> str:
    try:
        return unicodedata.lookup(f"GREEK {'SMALL' if name.islower() else 'CAPITAL'} LETTER {name.upper()}")
    except KeyError:
        return ""


def _print(tree: Tree) -> str:
    match tree:
        case Name(name):
            return _name_text(name)
        case Number(digits):
            return digits
        case Stacked(parts):
            return f"[{'; '.join(map(_print, parts))}]"
        case Group(of):
            return _print(of) if isinstance(of, Stacked) else f"({_print(of)})"
        case Call(function, parts):
            arguments = _print(Arguments(parts))
            return f"|{arguments}|" if function == ABSOLUTE_VALUE else f"{_name_text(function)}({arguments})"
    return _print_operation(tree)


def _print_operation(tree: Tree) -> str:
    match tree:
        case Unary(sign, of):
            return f"√({_print(of)})" if sign == "sqrt" else f"-{_operand(of, _TERM)}"
        case Fraction(above, below):
            return f"{_operand(above, _POWER)} / {_operand(below, _POWER)}"
        case Binary(sign, left, right):
            precedence = _precedence(tree)
            return f"{_operand(left, precedence)} {_OPERATORS[sign]} {_operand(right, precedence + 1)}"
        case Power(base, exponent):
            return f"{_operand(base, _POWER + 1)}^{exponent if exponent.isalnum() else f'({exponent})'}"
        case Beside(factors):
            return _adjacent(factors)
    return ", ".join(map(_print, tree.children))


def _adjacent(factors: tuple[Tree, ...]) -> str:
    text = _operand(factors[0], _POWER)
    for before, factor in pairwise(factors):
        text += ("" if _is_call(before, factor) else " ") + _operand(factor, _POWER)
    return text


def _is_call(before: Tree, factor: Tree) -> bool:
    """Whether a factor is the argument of the one before it, in brackets."""
    function = before.base if isinstance(before, Power) else before
    return isinstance(function, Name) and is_bracketed(factor) and _may_be_function(function.name)


def _may_be_function(name: str) -> bool:
    r"""Functions without a fixed meaning, such as `\phi` and `\mathrm{norm}`, have no scripts."""
    return name in FUNCTIONS or re.fullmatch(r"\\[a-zA-Z]+(\{[^{}]*\})?", name) is not None


def _operand(tree: Tree, precedence: int) -> str:
    return _print(tree) if _precedence(tree) >= precedence else f"({_print(tree)})"


def _precedence(tree: Tree) -> int:
    match tree:
        case Binary("+" | "-") | Unary("-"):
            return _SUM
        case Binary() | Fraction():
            return _TERM
        case Beside():
            return _ADJACENT
    return _POWER if isinstance(tree, Power) else _POWER + 1
