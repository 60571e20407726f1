"""Equations, parsed from LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnnkit.equation._reader import Line, lines_of
from rnnkit.equation._tree import names_in

if TYPE_CHECKING:
    from torch import Tensor


class Equation:
    r"""The update equations of a cell, such as `h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1} \\`.

    Each line assigns a value to a name. Supported are names with subscripts, superscripts and accents, numbers,
    brackets, `+ - \odot \circ \times \cdot /`, `\frac`, `\sqrt`, numeric powers, functions, `[a; b]` and `[a, b]` for
    concatenated columns, and products of adjacent factors, which bind closer than `\odot`: `r \odot W h` is the
    element-wise product of r and W h.

    Args:
        latex: the lines.

    Raises:
        UnreadableEquationError: the LaTeX contains anything else.

    Attributes:
        lines: the parsed lines, in order.
        defined: the names that the lines define, in order.
        symbols: the names that need a value, including functions.
    """

    def __init__(self, latex: str) -> None:
        self.lines = tuple(Line.of(tokens) for tokens in lines_of(latex))
        self.defined = tuple(line.name for line in self.lines)
        self.symbols: frozenset[str] = frozenset()
        for index, line in enumerate(self.lines):
            self.symbols |= set(names_in(line.tree)) - set(self.defined[:index])

    def evaluate(self, symbols: Mapping[str, Any], batched: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Evaluate the lines with torch; returns the value of each defined name, as `name_of` normalizes it.

        Args:
            symbols: numbers, tensors or functions by name in LaTeX. A tensor with one axis is a column, with two axes a
                matrix. A function takes tensors whose last axis is that of the features.
            batched: tensors with a leading batch axis, `(batch, ...)`, by name in LaTeX.

        Raises:
            EquationError: a symbol has no value, or shapes do not match.
            UnreadableEquationError: a name of `symbols` or `batched` is not valid.
        """
        from rnnkit.equation.evaluation import evaluate_lines  # imports torch

        return evaluate_lines(self.lines, symbols, batched)
