r"""Equations as text that a terminal can show: `\phi(W_{ih} x_t)` becomes `φ(W_ih x_t)`."""

from __future__ import annotations

import re
import unicodedata

_SYMBOLS = {
    "odot": "⊙",
    "oplus": "⊕",
    "otimes": "⊗",
    "cdot": "·",
    "times": "×",  # noqa: RUF001  # the sign is meant
    "circ": "∘",
    "ast": "*",
    "pm": "±",
    "leq": "≤",
    "geq": "≥",
    "in": "∈",
    "sum": "∑",
    "prod": "∏",
    "top": "⊤",  # noqa: RUF001  # likewise
    "ldots": "…",
    "dots": "…",
    "lambda": "λ",  # whose name in Unicode is LAMDA
    "quad": " ",
    "left": "",
    "right": "",
}
_FUNCTIONS = {"cos", "cosh", "exp", "log", "ln", "max", "min", "sin", "sinh", "tan", "tanh"}
_ACCENTS = {"bar": "\N{COMBINING MACRON}", "hat": "\N{COMBINING CIRCUMFLEX ACCENT}", "tilde": "\N{COMBINING TILDE}"}
_UPRIGHT = re.compile(r"\\(?:mathbf|mathit|mathrm|operatorname|text|boldsymbol)\s*\{([^{}]*)\}")
_ACCENT = re.compile(r"\\(bar|hat|tilde)\s*\{(\w)\}")
_SCRIPT = re.compile(r"([_^])\{([^{}]*)\}")
_FRACTION = re.compile(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
_SPACE = re.compile(r"\\[,;:! ]")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_LEFT_OVER = re.compile(r"[\\{}]")


def equation_text(latex: str) -> str:
    """An equation as text, line by line; as LaTeX, where it has something for which there is no text here."""
    lines = [line.strip() for line in latex.split(r"\\") if line.strip()]
    texts = [_text(line) for line in lines]
    return "\n".join(lines if any(_LEFT_OVER.search(text) for text in texts) else texts)


def _text(line: str) -> str:
    line = _SPACE.sub(" ", line.replace("&", ""))
    line = _UPRIGHT.sub(r"\1", line)
    line = _ACCENT.sub(lambda match: match[2] + _ACCENTS[match[1]], line)
    line = _SCRIPT.sub(_script, line)
    line = _ROOT.sub(r"√(\1)", _FRACTION.sub(r"(\1) / (\2)", line))
    return " ".join(_COMMAND.sub(_symbol, line).split())


def _script(match: re.Match[str]) -> str:
    """A subscript or a superscript, in brackets unless it is one word or has some already."""
    mark, inner = match.groups()
    bare = inner.isalnum() or (inner.startswith("(") and inner.endswith(")"))
    return mark + (inner if bare else f"({inner})")


def _symbol(match: re.Match[str]) -> str:
    name = match[1]
    if name in _FUNCTIONS:
        return name
    size = "SMALL" if name.islower() else "CAPITAL"
    try:
        return _SYMBOLS[name] if name in _SYMBOLS else unicodedata.lookup(f"GREEK {size} LETTER {name.upper()}")
    except KeyError:
        return match[0]
