"""The terms of a sum, each with its sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rnnkit.equation import Binary, Tree, Unary


class Term(NamedTuple):
    """One term."""

    sign: Literal["+", "-"]
    tree: Tree

    @property
    def is_negative(self) -> bool:
        return self.sign == "-"

    @property
    def signed(self) -> Tree:
        """What is added."""
        return Unary("-", self.tree) if self.is_negative else self.tree


def terms_of(tree: Tree) -> list[Term]:
    """What is added and subtracted in a tree; the tree itself, if it is no sum."""
    match tree:
        case Binary("+", left, right):
            return [*terms_of(left), *terms_of(right)]
        case Binary("-", left, right):
            return [*terms_of(left), *_negative(terms_of(right))]
        case Unary("-", of):
            return _negative(terms_of(of))
    return [Term("+", tree)]


def summed(terms: Sequence[Term]) -> Tree:
    """The sum of one term or several."""
    first, *rest = terms
    whole = first.signed
    for term in rest:
        whole = Binary(term.sign, whole, term.tree)
    return whole


def _negative(terms: Sequence[Term]) -> list[Term]:
    return [Term("+" if term.is_negative else "-", term.tree) for term in terms]
