"""Equations in LaTeX: read as a tree, which can be computed and printed."""

from rnnkit.equation.equation import Equation, Line, name_of
from rnnkit.equation.reader import Reader
from rnnkit.equation.tokens import UnreadableEquationError, lines_of
from rnnkit.equation.tree import (
    Arguments,
    Beside,
    Binary,
    Call,
    Name,
    Number,
    Power,
    Product,
    Stacked,
    Tree,
    Unary,
    names_in,
    resolved,
)
from rnnkit.equation.values import MEANINGS, EquationError

__all__ = [
    "MEANINGS",
    "Arguments",
    "Beside",
    "Binary",
    "Call",
    "Equation",
    "EquationError",
    "Line",
    "Name",
    "Number",
    "Power",
    "Product",
    "Reader",
    "Stacked",
    "Tree",
    "Unary",
    "UnreadableEquationError",
    "lines_of",
    "name_of",
    "names_in",
    "resolved",
]
