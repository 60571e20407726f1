r"""Finds in an equation what the table of symbols explains: gates, and the factor after a weight."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from rnnkit.equation import Beside, Equation, Group, Name, Power, Tree

_SIGMOIDS = (Name(r"\sigma"), Name(r"\mathrm{sigmoid}"))


def gates_of(latex: str) -> tuple[str, ...]:
    """The names that are defined as a logistic function and nothing else."""
    return tuple(line.name for line in Equation(latex).lines if _is_gate(line.tree))


def factor_after(latex: str, name: str) -> str:
    r"""The factor after the first use of a name, as LaTeX: `x_t`, `(f_t \odot h_{t-1})`; empty if there is none."""
    trees = (tree for line in Equation(latex).lines for tree in _trees_in(line.tree))
    pairs = (pair for tree in trees if isinstance(tree, Beside) for pair in pairwise(tree.factors))
    return next((_latex(after) for factor, after in pairs if factor in (Name(name), Power(Name(name), "T"))), "")


def _is_gate(tree: Tree) -> bool:
    match tree:
        case Beside((function, Name() | Group())):
            return function in _SIGMOIDS
    return False


def _trees_in(tree: Tree) -> Iterator[Tree]:
    yield tree
    for child in tree.children:
        yield from _trees_in(child)


def _latex(factor: Tree) -> str:
    return factor.name if isinstance(factor, Name) else factor.latex if isinstance(factor, Group) else ""
