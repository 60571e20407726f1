"""Equations, parsed from LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnnkit.equation._names import plain_signal
from rnnkit.equation._reader import Line
from rnnkit.equation._tokens import rows_of_lines
from rnnkit.equation._tree import UnreadableEquationError, names_in

if TYPE_CHECKING:
    from torch import Tensor


class Equation:
    r"""The update equations of a cell, such as `h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1} \\`.

    Each line assigns a value to a name. "LaTeX of equations" in the documentation describes what can be read.

    Args:
        latex: the lines.

    Raises:
        UnreadableEquationError: the LaTeX contains anything else, is ambiguous, or defines a name twice.

    Attributes:
        lines: the parsed lines, in order.
        rows: for each line, its number of rows in the LaTeX; a row that starts with an operator continues a line.
        defined: the names that the lines define, in order.
        symbols: the names that need a value, including functions.
    """

    def __init__(self, latex: str) -> None:
        rows = rows_of_lines(latex)
        self.rows = tuple(map(len, rows))
        self.lines = tuple(Line.of([token for row in each for token in row]) for each in rows)
        self.defined = tuple(line.name for line in self.lines)
        self.symbols: frozenset[str] = frozenset()
        for index, line in enumerate(self.lines):
            if line.name in self.defined[:index]:
                raise UnreadableEquationError(f"{line.name} is defined twice: give one of the values another name")
            self.symbols |= set(names_in(line.tree)) - set(self.defined[:index])
        self._spellings = _spellings({*self.defined, *self.symbols})

    def spelling(self, signal: str) -> str | None:
        r"""The name of a signal in this equation: for `h_{t-1}`, it may be `\mathbf{h}_{t-1}` or `h^{(t-1)}`.

        Returns:
            The name; None if the equation does not contain the signal.
        """
        return self._spellings.get(signal)

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


def _spellings(names: set[str]) -> dict[str, str]:
    """Each name by its plain spelling."""
    found: dict[str, str] = {}
    for name in sorted(names):
        other = found.setdefault(plain_signal(name), name)
        if other != name:
            raise UnreadableEquationError(f"{other} and {name} may be the same: use one spelling")
    return found
