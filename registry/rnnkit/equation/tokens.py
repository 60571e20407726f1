"""The words that LaTeX is made of, those left out that change nothing but how it looks."""

from __future__ import annotations

import re

from rnnkit.errors import RnnkitError

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\.\d+|[^\s&~]")
_LOOKS = re.compile(r"\\[,;:!> ]|\\(?:q?quad|left|right|[bB]igg?[lrm]?|displaystyle|textstyle|nonumber)(?![A-Za-z])")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{(?:aligned|align|split|gathered|gather|equation)\*?\}")
_LINE_END = re.compile(r"\\\\(?:\[[^\]]*\])?")


class UnreadableEquationError(RnnkitError, ValueError):
    """An equation has LaTeX in it that rnnkit does not read."""


def lines_of(latex: str) -> list[list[str]]:
    r"""The tokens of each line, of which `\\` ends one; empty lines are left out."""
    lines = (_tokens(line) for line in _LINE_END.split(_ENVIRONMENT.sub("", latex)))
    return [line for line in lines if line]


def _tokens(line: str) -> list[str]:
    tokens = _TOKEN.findall(_LOOKS.sub(" ", line))
    return tokens[:-1] if tokens and tokens[-1] in ",.;" else tokens
