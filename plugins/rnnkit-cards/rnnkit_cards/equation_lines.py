r"""Finds in an equation's LaTeX what the table of symbols explains: names, gates, and the factor after a weight."""

from __future__ import annotations

from typing import NamedTuple

from rnnkit.equation import Beside, Equation, Reader, Tree, UnreadableEquationError, lines_of
from rnnkit.equation import Name as SymbolName

_SIGMOIDS = (SymbolName(r"\sigma"), SymbolName(r"\mathrm{sigmoid}"))
_OPENING, _CLOSING = {"(", "[", r"\{"}, {")", "]", r"\}"}
_MAX_TOKENS = 24  # of a name


class _NameAt(NamedTuple):
    """A name in a line: its tokens `start:end`, and its normal form."""

    start: int
    end: int
    name: str


def gates_of(latex: str) -> tuple[str, ...]:
    """The names that are defined as a logistic function and nothing else."""
    return tuple(line.name for line in Equation(latex).lines if _is_gate(line.tree))


def factor_after(latex: str, name: str) -> str:
    r"""The factor after the first use of a name, as LaTeX: `x_t`, `(f_t \odot h_{t-1})`; empty if there is none."""
    for line in lines_of(latex):
        names = _names_in(line)
        for found in names[1:]:
            if found.name == name:
                return _factor_at(line, found.end, names)
    return ""


def _names_in(line: list[str]) -> list[_NameAt]:
    found: list[_NameAt] = []
    at = 0
    while at < len(line):
        name = _longest_name_at(line, at)
        if name is not None:
            found.append(name)
        at = at + 1 if name is None else name.end
    return found


def _longest_name_at(line: list[str], start: int) -> _NameAt | None:
    for end in range(min(start + _MAX_TOKENS, len(line)), start, -1):
        reader = Reader(line[start:end])
        try:
            name = reader.name()
            reader.end()
        except UnreadableEquationError:
            continue
        return _NameAt(start, end, name)
    return None


def _is_gate(tree: Tree) -> bool:
    return isinstance(tree, Beside) and len(tree.factors) == 2 and tree.factors[0].tree in _SIGMOIDS


def _factor_at(line: list[str], at: int, names: list[_NameAt]) -> str:
    if at < len(line) and line[at] in _OPENING:
        return "".join(f"{token} " if token[0] == "\\" else token for token in line[at : _bracket_end(line, at)])
    return next((each.name for each in names if each.start == at), "")


def _bracket_end(line: list[str], start: int) -> int:
    """The index after the bracket that closes the one at `start`; -1 if it is not closed."""
    depth = 0
    for at in range(start, len(line)):
        depth += (line[at] in _OPENING) - (line[at] in _CLOSING)
        if depth == 0:
            return at + 1 if at > start else -1
    return -1
