r"""Computes equations from their LaTeX, so that an equation and the code that claims to compute it can be compared.

It reads what the updates of recurrent networks are written in, and refuses everything else: it never guesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from rnnkit.equation.evaluation import Values, evaluated
from rnnkit.equation.reader import Reader
from rnnkit.equation.tokens import UnreadableEquationError, lines_of
from rnnkit.equation.tree import Tree, names_in
from rnnkit.equation.values import MEANINGS, EquationError, Value, value_of, value_of_rows


class Equation:
    r"""Lines such as `h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1} \\`, each of which gives a name a value.

    Read are names with sub- and superscripts and accents, numbers, brackets, `+ - \odot \circ \times \cdot /`, `\frac`,
    `\sqrt`, powers that are numbers, functions, `[a; b]` and `[a, b]` for one column above another, and products of
    what stands side by side, which bind closer than `\odot`: `r \odot W h` is r times W h, feature by feature.

    Args:
        latex: the lines.

    Raises:
        UnreadableEquationError: there is something else in them.

    Attributes:
        lines: what they say, in order.
        defined: the names that get a value, in order.
        symbols: the names that must have one before, those of `MEANINGS` among them.
    """

    def __init__(self, latex: str) -> None:
        self.lines = tuple(Line.of(tokens) for tokens in lines_of(latex))
        self.defined = tuple(line.name for line in self.lines)
        self.symbols: frozenset[str] = frozenset()
        for index, line in enumerate(self.lines):
            self.symbols |= set(names_in(line.tree)) - set(self.defined[:index])

    def evaluate(self, symbols: Mapping[str, Any], rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the lines give to each name, in the form of `name_of`.

        Args:
            symbols: from each name, as it may be written in LaTeX, to a number, a tensor or a function. A tensor of one
                axis is a column, of two a matrix. A function takes tensors whose last axis is that of the features.
            rows: likewise to what is another one for each row of a batch, `(batch, ...)`.

        Raises:
            EquationError: a symbol has no value, or something does not go together.
            UnreadableEquationError: a name of `symbols` or `rows` cannot be read.
        """
        values: dict[str, Any] = dict(MEANINGS)
        values |= {name_of(name): value_of(thing) for name, thing in symbols.items()}
        values |= {name_of(name): value_of_rows(thing) for name, thing in rows.items()}
        for line in self.lines:
            values[line.name] = line.value(values)
        return {name: values[name].tensor for name in self.defined}


def name_of(latex: str) -> str:
    """A name as `Equation` has it, of which LaTeX knows many spellings: `W_{h}` is `W_h`, `h^{f}_t` is `h_t^f`.

    Raises:
        UnreadableEquationError: it is not one name.
    """
    reader = Reader([token for line in lines_of(latex) for token in line])
    name = reader.name()
    reader.end()
    return name


class Line(NamedTuple):
    """The name on the left, and what stands on the right."""

    name: str
    tree: Tree

    @classmethod
    def of(cls, tokens: list[str]) -> Line:
        """A line that has these tokens."""
        reader = Reader(tokens)
        name = reader.name()
        reader.take("=")
        tree = reader.sum()
        reader.end()
        return cls(name, tree)

    def value(self, values: Values) -> Value:
        """What the name gets, from the values of the others."""
        try:
            value: Any = evaluated(self.tree, values)
        except EquationError as error:
            raise EquationError(f"in the line of {self.name}: {error}") from error
        if not isinstance(value, Value):
            raise UnreadableEquationError(f"the line of {self.name} gives no value")
        return value
