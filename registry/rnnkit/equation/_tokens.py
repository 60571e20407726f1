"""Splits the LaTeX of equations into lines and tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rnnkit.equation._names import WORD_FUNCTIONS
from rnnkit.equation._tree import UnreadableEquationError

_TOKEN = re.compile(r"\\operatorname\*|\\[A-Za-z]+|\\.|:=|\d+(?:\.\d+)?|\.\d+|[^\s&~]")
# Commands that affect the layout only.
_LAYOUT = re.compile(
    r"\\[,;:!> ]|\\(?:q?quad|left|right|[bB]igg?[lrm]?|displaystyle|textstyle|nonumber|notag)(?![A-Za-z])"
)
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{(?:aligned|align|split|gathered|gather|equation)\*?\}")
_COLUMN = re.compile(r"\\begin\{([bp]matrix)\}(.*?)\\end\{\1\}", re.DOTALL)
_LINE_END = re.compile(r"\\\\(?:\[[^\]]*\])?")
_CONTINUES = {"+", "-", r"\odot", r"\circ", r"\cdot", r"\times"}
_SPELLINGS: dict[str, str] = {
    **dict.fromkeys((r"\operatorname", r"\operatorname*", r"\text", r"\textrm", r"\mathsf", r"\mathit"), r"\mathrm"),
    **dict.fromkeys((r"\dfrac", r"\tfrac"), r"\frac"),
    **dict.fromkeys((":=", r"\coloneqq"), "="),
    r"\intercal": r"\top",
    **dict.fromkeys((r"\lvert", r"\rvert", r"\vert"), "|"),
}
_ENDS_IN_COMMAND = re.compile(r"\\[A-Za-z]+$")
_BARE_FUNCTION = re.compile(rf"(?<![\\A-Za-z{{])({'|'.join(WORD_FUNCTIONS)})\s*(?=[(\[]|\\\{{)", re.IGNORECASE)


def lines_of(latex: str) -> list[list[str]]:
    r"""The tokens of each line. A row, which ends in `\\`, continues the line before if it starts with an operator."""
    return [[token for row in rows for token in row] for rows in rows_of_lines(latex)]


def rows_of_lines(latex: str) -> list[list[list[str]]]:
    """The tokens of each row of each line."""
    lines: list[list[list[str]]] = []
    for row in _LINE_END.split(_COLUMN.sub(_stacked, _ENVIRONMENT.sub("", latex))):
        tokens = _tokens(row)
        if lines and tokens and tokens[0] in _CONTINUES:
            lines[-1].append(tokens)
        elif tokens:
            lines.append([tokens])
    return lines


def joined(tokens: Iterable[str]) -> str:
    """LaTeX of tokens, with a space only between a command and a letter."""
    text = ""
    for token in tokens:
        text += " " * (token[0].isalpha() and _ENDS_IN_COMMAND.search(text) is not None) + token
    return text


def _tokens(line: str) -> list[str]:
    text = _LAYOUT.sub(" ", line)
    if bare := _BARE_FUNCTION.search(text):
        raise UnreadableEquationError(
            f"`{bare[1]}` is a product of single letters: write `\\mathrm{{{bare[1]}}}` for the function"
        )
    found: list[str] = _TOKEN.findall(text)
    tokens = [_SPELLINGS.get(token, token) for token in found]
    return tokens[:-1] if tokens and tokens[-1] in ",.;" else tokens


def _stacked(matrix: re.Match[str]) -> str:
    if "&" in matrix[2]:
        raise UnreadableEquationError("a matrix with several columns cannot be read: write [a; b] for stacked columns")
    return f"[{'; '.join(filter(str.strip, _LINE_END.split(matrix[2])))}]"
