r"""Typesets names and expressions as runs of text: `\tilde{h}_t` is an italic h with a tilde and a subscript t."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import chain, groupby
from typing import NamedTuple

from rnnkit.equation import ABSOLUTE_VALUE, ACCENTS, Binary, Call, Name, Number, Power, Product, Stacked, Tree, Unary
from rnnkit_cards.drawing.signals import base_and_scripts

MINUS, DOT, TIMES, ODOT = "\N{MINUS SIGN}", "\N{DOT OPERATOR}", "\N{MULTIPLICATION SIGN}", "\N{CIRCLED DOT OPERATOR}"
_FONTS = {"mathbf", "boldsymbol", "bm", "mathcal", "mathbb", "mathfrak"}
_WITH_BRACES = re.compile(r"\\([A-Za-z]+)\{(.*)\}")
_COMMAND = re.compile(r"\\([A-Za-z]+)\s?")
_GREEK = {"lambda": "lamda", "varepsilon": "epsilon", "varphi": "phi"}
_SPECIAL_CHARACTERS = {
    "ell": "\N{SCRIPT SMALL L}",
    "langle": "\N{MATHEMATICAL LEFT ANGLE BRACKET}",
    "rangle": "\N{MATHEMATICAL RIGHT ANGLE BRACKET}",
    "phi": "\N{GREEK PHI SYMBOL}",
    "epsilon": "\N{GREEK LUNATE EPSILON SYMBOL}",
}
_SPECIAL_CHARACTERS |= {"vartheta": "\N{GREEK THETA SYMBOL}"}
_OPERATORS = {"+": "+", "-": MINUS, "*": ODOT, ".": DOT, "/": "/"}
_UNARY = {"-": MINUS, "sqrt": "\N{SQUARE ROOT}"}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, ".": 2, "/": 2}
_SMALL, _BOLD = 0.72, 1.2  # widths relative to those of other text
_WIDE, _NARROW = "mwMWΔΩΘΦ⊙⟨", "ijlt1()[],.;'⋅/ "


class Run(NamedTuple):
    """Text in one style.

    Attributes:
        text: the characters.
        italic: True for names of one letter.
        level: -1 for a subscript, 1 for a superscript.
        bold: True for a bold font.
    """

    text: str
    italic: bool = False
    level: int = 0
    bold: bool = False


Text = tuple[Run, ...]


def name_text(name: str) -> Text:
    """The text of a name in the form of `rnnkit.equation.name_of`."""
    base, scripts = base_and_scripts(name)
    return _merged(chain(_base(base), _scripts(scripts)))


def expression_text(tree: Tree) -> Text:
    """The text of an expression; the name `#` is a placeholder: a dot, or nothing at either end of the expression."""
    return _merged(_unary_operation(tree))


def _unary_operation(tree: Tree) -> Iterator[Run]:
    match tree:
        case Call(function, (Name("#"),)):
            yield from name_text(function)
        case Binary("-", left, Name("#")):
            yield from chain(_expression(left, 0), (Run(f" {MINUS}"),))
        case Binary(sign, Name("#"), right):
            yield from chain((Run(f"{_OPERATORS[sign]} "),), _expression(right, 3))
        case Binary("*" | "." as sign, left, Name("#")):
            yield from chain((Run(f"{_OPERATORS[sign]} "),), _expression(left, 3))
        case Product((*weights, Name("#"))):
            yield from chain((Run(f"{TIMES} "),), _joined(tuple(weights), " ", 3))
        case Unary(sign, Name("#")):
            yield Run(_UNARY[sign])
        case _:
            yield from _expression(tree, 0)


def plain_text(text: Text) -> str:
    """Plain text with `_` and `^` for scripts: `h_(t-1)`."""
    found = ""
    for level, runs in groupby(text, key=lambda run: run.level):
        characters = "".join(run.text for run in runs)
        is_one = not level or characters.isalnum() or characters in ("\N{PRIME}", DOT) or characters[0] == "("
        found += {-1: "_", 0: "", 1: "^"}[level] + (characters if is_one else f"({characters})")
    return found


def text_width(text: Text, size: float) -> float:
    """An upper estimate of the width of a text."""
    return sum(_width(run) * size for run in text)


def _width(run: Run) -> float:
    characters = [each for each in run.text if not unicodedata.combining(each)]
    widths = [0.9 if each in _WIDE else 0.34 if each in _NARROW else 0.58 for each in characters]
    return sum(widths) * (_SMALL if run.level else 1.0) * (_BOLD if run.bold else 1.0)


def _expression(tree: Tree, outside: int) -> Iterator[Run]:
    """An expression, in brackets if its precedence is lower than `outside`."""
    match tree:
        case Name(name):
            yield from (Run(DOT),) if name == "#" else name_text(name)
        case Number(digits):
            yield Run(digits)
        case Binary(sign, left, right):
            own = _PRECEDENCE[sign]
            yield from _bracketed(_binary(left, sign, right, own), own < outside)
        case Unary("-", of):
            yield from _bracketed(chain((Run(MINUS),), _expression(of, 2)), outside > 1)
        case Unary(_, of):
            yield from chain((Run(_UNARY["sqrt"]),), _expression(of, 4))
        case Power(base, exponent):
            yield from chain(_expression(base, 4), (Run(exponent.replace("-", MINUS), level=1),))
        case Product(factors):
            yield from _bracketed(_joined(factors, " ", 3), outside > 3)
        case Call(function, arguments):
            yield from _call(function, _joined(arguments, ", "))
        case Stacked(parts):
            yield from chain((Run("["),), _joined(parts, "; "), (Run("]"),))


def _binary(left: Tree, sign: str, right: Tree, own: int) -> Iterator[Run]:
    yield from _expression(left, own)
    yield Run(f" {_OPERATORS[sign]} " if sign != "/" else "/")
    yield from _expression(right, own + 1)


def _call(function: str, arguments: Iterator[Run]) -> Iterator[Run]:
    bars = function == ABSOLUTE_VALUE
    before = (Run("|"),) if bars else (*name_text(function), Run("("))
    yield from chain(before, arguments, (Run("|" if bars else ")"),))


def _joined(parts: tuple[Tree, ...], separator: str, outside: int = 0) -> Iterator[Run]:
    for at, part in enumerate(parts):
        yield from (Run(separator),) if at else ()
        yield from _expression(part, outside)


def _bracketed(runs: Iterator[Run], needed: bool) -> Iterator[Run]:
    yield from chain((Run("("),), runs, (Run(")"),)) if needed else runs


def _base(base: str) -> Iterator[Run]:
    found = _WITH_BRACES.fullmatch(base)
    if found is None:
        characters = _characters(base)
        yield Run(characters, italic=len(characters) == 1 and characters.isalpha())
    elif accent := ACCENTS.get(f"\\{found[1]}"):
        yield from (run._replace(text=run.text + accent) for run in _base(found[2]))
    elif found[1] in _FONTS:
        yield Run(_characters(found[2]), bold=True)
    else:
        yield Run(_characters(found[2]))


def _scripts(scripts: str) -> Iterator[Run]:
    """Subscripts `_{...}`, superscripts `^{...}` and primes."""
    at = 0
    while at < len(scripts):
        if scripts[at] == "'":
            yield Run("\N{PRIME}", level=1)
            at += 1
            continue
        level = -1 if scripts[at] == "_" else 1
        end = _end_of_script(scripts, at + 1)
        inner = (
            scripts[at + 1 : end].removeprefix("{").removesuffix("}")
            if scripts[at + 1] == "{"
            else scripts[at + 1 : end]
        )
        yield from _script(inner, level)
        at = end


def _end_of_script(scripts: str, start: int) -> int:
    if scripts[start] == "\\":
        found = _COMMAND.match(scripts, start)
        return found.end() if found else start + 2
    depth = 0
    for at in range(start, len(scripts)):
        depth += (scripts[at] == "{") - (scripts[at] == "}")
        if depth == 0:
            return at + 1
    return len(scripts)


def _script(inner: str, level: int) -> Iterator[Run]:
    word = _WITH_BRACES.fullmatch(inner)
    if word and f"\\{word[1]}" not in ACCENTS:
        yield Run(_characters(word[2]), level=level)
        return
    characters = _characters(inner).replace("-", MINUS)
    for piece in re.findall(r"[^\W\d_]+|[\W\d_]+", characters):
        yield Run(piece, italic=piece.isalpha(), level=level)


def _characters(latex: str) -> str:
    """LaTeX with each command replaced by its character, or by its name."""
    return re.sub(r"[{}]", "", _COMMAND.sub(lambda found: _character(found[1]), latex))


def _character(command: str) -> str:
    if command in _SPECIAL_CHARACTERS:
        return _SPECIAL_CHARACTERS[command]
    size = "SMALL" if command.islower() else "CAPITAL"
    name = _GREEK.get(command, command)
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name.upper()}")
    except KeyError:
        return command


def _merged(runs: Iterator[Run]) -> Text:
    """Runs, with adjacent ones of the same style merged."""
    found: list[Run] = []
    for run in runs:
        if found and found[-1][1:] == run[1:]:
            found[-1] = found[-1]._replace(text=found[-1].text + run.text)
        else:
            found.append(run)
    return tuple(found)
