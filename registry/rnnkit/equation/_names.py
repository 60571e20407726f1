"""The LaTeX of names and functions."""

from __future__ import annotations

import re

WORDS = {r"\mathrm"}  # their argument is one word
ACCENTS = {
    **dict.fromkeys((r"\tilde", r"\widetilde"), "\N{COMBINING TILDE}"),
    **dict.fromkeys((r"\hat", r"\widehat"), "\N{COMBINING CIRCUMFLEX ACCENT}"),
    **dict.fromkeys((r"\bar", r"\overline"), "\N{COMBINING MACRON}"),
    r"\dot": "\N{COMBINING DOT ABOVE}",
    r"\vec": "\N{COMBINING RIGHT ARROW ABOVE}",
    r"\check": "\N{COMBINING CARON}",
}
"""Accents, with their combining characters in Unicode."""
FONTS = {r"\mathbf", r"\boldsymbol", r"\bm", r"\mathcal", r"\mathbb", r"\mathfrak"}
ONES = frozenset({r"\mathbf{1}", r"\boldsymbol{1}", r"\bm{1}"})
GREEK = (
    r"\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa \lambda \mu \nu \xi \pi "
    r"\rho \sigma \tau \upsilon \phi \varphi \chi \psi \omega \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon "
    r"\Phi \Psi \Omega \ell"
)
MATH_FUNCTIONS = ("tanh", "exp", "log", "ln", "sin", "cos", "sinh", "cosh", "max", "min")
_OTHER_FUNCTIONS = ("sigmoid", "relu", "softplus", "silu", "gelu", "elu", "sign", "softmax", "abs", "diag")
WORD_FUNCTIONS = (*MATH_FUNCTIONS, *_OTHER_FUNCTIONS)
COMPLEX_FUNCTIONS = {r"\Re": "real", r"\Im": "imag"}
ABSOLUTE_VALUE = r"\mathrm{abs}"
FUNCTIONS = frozenset(
    {
        r"\sigma",
        *COMPLEX_FUNCTIONS,
        *(f"\\{name}" for name in MATH_FUNCTIONS),
        *(f"\\mathrm{{{name}}}" for name in WORD_FUNCTIONS),
    }
)
"""The names of functions that have the same meaning in every equation."""
NAMES = {*GREEK.split(), *ACCENTS, *FONTS, *WORDS, *FUNCTIONS}
_LAYER_NORM = r"\mathrm{LN}"  # not the logarithm, although `ReLU` is `relu`
_BOLD = re.compile(r"\\(?:mathbf|boldsymbol|bm)\{([^{}]*)\}")
_TIME = re.compile(r"[_^]\{?(?:\(|\\langle )?t(-\d+)?(?:\)|\\rangle)?\}?$")


def word(letters: str) -> str:
    r"""The name of a word: `\mathrm{relu}` for `ReLU`, `\Re` for `Re`."""
    if f"\\{letters}" in COMPLEX_FUNCTIONS:
        return f"\\{letters}"
    name = f"\\mathrm{{{letters}}}"
    return name.lower() if name.lower() in FUNCTIONS and name != _LAYER_NORM else name


def plain_signal(name: str) -> str:
    r"""A signal in its plain spelling: `h_{t-1}` for `\mathbf{h}_{t-1}`, `h^{t-1}` and `h^{(t-1)}`."""
    plain = _BOLD.sub(r"\1", name)
    return _TIME.sub(lambda time: f"_{{t{time[1]}}}" if time[1] else "_t", plain)
