r"""Reads of an equation what its table of symbols tells: names, gates, and what weights stand before."""

from __future__ import annotations

from typing import NamedTuple

from rnnkit.equation import Beside, Equation, Reader, Tree, UnreadableEquationError, lines_of
from rnnkit.equation import Name as SymbolName

_SIGMOIDS = (SymbolName(r"\sigma"), SymbolName(r"\mathrm{sigmoid}"))
_OPENING, _CLOSING = {"(", "[", r"\{"}, {")", "]", r"\}"}
_LONGEST = 24  # tokens of a name


class Name(NamedTuple):
    """A name in a line: which tokens are it, and its one form."""

    start: int
    end: int
    name: str


def gates_of(latex: str) -> tuple[str, ...]:
    """The names that are a logistic function of something, and nothing else: between 0 and 1, they open and close."""
    return tuple(line.name for line in Equation(latex).lines if _is_gate(line.tree))


def factor_after(latex: str, name: str) -> str:
    r"""What stands right after the first use of a name, as LaTeX: `x_t`, `(f_t \odot h_{t-1})`; empty: nothing."""
    for line in lines_of(latex):
        names = names_in(line)
        for found in names[1:]:
            if found.name == name:
                return _factor_at(line, found.end, names)
    return ""


def names_in(line: list[str]) -> list[Name]:
    """The names among the tokens of a line, one after another."""
    found: list[Name] = []
    at = 0
    while at < len(line):
        name = _name_at(line, at)
        if name is not None:
            found.append(name)
        at = at + 1 if name is None else name.end
    return found


def _name_at(line: list[str], start: int) -> Name | None:
    """The longest name that begins there."""
    for end in range(min(start + _LONGEST, len(line)), start, -1):
        reader = Reader(line[start:end])
        try:
            name = reader.name()
            reader.end()
        except UnreadableEquationError:
            continue
        return Name(start, end, name)
    return None


def _is_gate(tree: Tree) -> bool:
    return isinstance(tree, Beside) and len(tree.factors) == 2 and tree.factors[0].tree in _SIGMOIDS


def _factor_at(line: list[str], at: int, names: list[Name]) -> str:
    if at < len(line) and line[at] in _OPENING:
        return "".join(f"{token} " if token[0] == "\\" else token for token in line[at : _end_of_bracket(line, at)])
    return next((each.name for each in names if each.start == at), "")


def _end_of_bracket(line: list[str], start: int) -> int:
    """Past the bracket that closes the one at a place; -1: there is none."""
    depth = 0
    for at in range(start, len(line)):
        depth += (line[at] in _OPENING) - (line[at] in _CLOSING)
        if depth == 0:
            return at + 1 if at > start else -1
    return -1
