"""Equations in LaTeX: parsed into a tree, which can be printed as text and evaluated.

Does not import torch; `rnnkit.equation.evaluation` does.
"""

from rnnkit.equation._equation import Equation
from rnnkit.equation._names import ABSOLUTE_VALUE, ACCENTS, FUNCTIONS, ONES, plain_signal
from rnnkit.equation._reader import Line, name_of
from rnnkit.equation._text import equation_text
from rnnkit.equation._tree import (
    Arguments,
    Beside,
    Binary,
    Call,
    EquationError,
    Group,
    MalformedEquationError,
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
    "ABSOLUTE_VALUE",
    "ACCENTS",
    "FUNCTIONS",
    "ONES",
    "Arguments",
    "Beside",
    "Binary",
    "Call",
    "Equation",
    "EquationError",
    "Group",
    "Line",
    "MalformedEquationError",
    "Name",
    "Number",
    "Power",
    "Product",
    "Stacked",
    "Tree",
    "Unary",
    "UnreadableEquationError",
    "equation_text",
    "name_of",
    "names_in",
    "plain_signal",
    "resolved",
]
