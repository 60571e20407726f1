r"""Tells signals of an equation, which have a time index, from parameters.

`x_t`, `h_{t-1}` and `h^{(t-1)}` are signals, and so is every name that a line defines; `W_{hh}`, `b` and `\alpha` are
parameters.
"""

from __future__ import annotations

import re

from rnnkit.equation import FUNCTIONS

_TIME = re.compile(r"(?<![A-Za-z\\])t(?:[-+]\d+)?(?![A-Za-z0-9])")
_PAST = re.compile(r"(?<![A-Za-z\\])t-\d")
_BEFORE = re.compile(r"(?<![A-Za-z\\])t-1(?![0-9])")
_FUNCTIONS = {"f", "g", r"\phi", r"\varphi", r"\psi", r"\rho"}  # names of unspecified functions in textbooks
_WORD = re.compile(r"\\mathrm\{.{2,}\}")
_INSIDE = re.compile(r"\\[a-z]+\{(.+)\}")


def base_and_scripts(name: str) -> tuple[str, str]:
    r"""`\tilde{h}_{t-1}` -> `\tilde{h}` and `_{t-1}`."""
    depth = 0
    for at, sign in enumerate(name):
        depth += (sign == "{") - (sign == "}")
        if depth == 0 and sign in "_^'":
            return name[:at], name[at:]
    return name, ""


def has_time(name: str) -> bool:
    """True if a name has a time index, and so another value at each step."""
    return _TIME.search(base_and_scripts(name)[1]) is not None


def is_past(name: str) -> bool:
    """True if a name has the time index of an earlier step."""
    return _PAST.search(base_and_scripts(name)[1]) is not None


def one_step_later(name: str) -> str:
    """The name of a state after the step: `h_{t-1}` -> `h_t`; the name itself if it is not a state."""
    base, scripts = base_and_scripts(name)
    return base + _BEFORE.sub("t", scripts).replace("_{t}", "_t").replace("^{t}", "^t")


def is_function(name: str, before_brackets: bool) -> bool:
    r"""True if a name that is not a signal is a function: `\sigma`, `\sigma_g`; before brackets also a word, or `f`."""
    base, scripts = base_and_scripts(name)
    if name in FUNCTIONS or base in FUNCTIONS:
        return True
    is_letter = base in _FUNCTIONS and (len(base) > 1 or not scripts)
    return before_brackets and (is_letter or _WORD.fullmatch(base) is not None)


def is_matrix(name: str) -> bool:
    """True if a parameter is a matrix: by convention, its name is a capital Latin letter."""
    base = base_and_scripts(name)[0]
    inside = _INSIDE.fullmatch(base)
    return (inside[1] if inside else base)[:1].isupper()
