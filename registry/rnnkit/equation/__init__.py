"""Equations in LaTeX: parsed into a tree, which can be printed as text and evaluated.

Does not import torch; `rnnkit.equation.evaluation` does.
"""

from rnnkit.equation._equation import Equation
from rnnkit.equation._reader import FUNCTIONS, Line, Reader, lines_of, name_of
from rnnkit.equation._text import equation_text
from rnnkit.equation._tree import (
    Arguments,
    Beside,
    Binary,
    Call,
    EquationError,
    Name,
    Number,
    Power,
    Product,
    Stacked,
    Tree,
    Unary,
    UnreadableEquationError,
    names_in,
    resolved,
)

__all__ = [
    "FUNCTIONS",
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
    "equation_text",
    "lines_of",
    "name_of",
    "names_in",
    "resolved",
]
