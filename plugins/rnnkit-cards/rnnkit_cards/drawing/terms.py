"""Splits a sum into terms with signs, and joins them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rnnkit.equation import Binary, Tree, Unary


class Term(NamedTuple):
    """A term of a sum."""

    sign: Literal["+", "-"]
    tree: Tree

    @property
    def is_negative(self) -> bool:
        return self.sign == "-"

    @property
    def signed(self) -> Tree:
        """The term as it is added."""
        return Unary("-", self.tree) if self.is_negative else self.tree


def split_terms(tree: Tree) -> list[Term]:
    """The terms of a tree; the tree itself if it is not a sum."""
    match tree:
        case Binary("+", left, right):
            return [*split_terms(left), *split_terms(right)]
        case Binary("-", left, right):
            return [*split_terms(left), *_negative(split_terms(right))]
        case Unary("-", of):
            return _negative(split_terms(of))
    return [Term("+", tree)]


def sum_terms(terms: Sequence[Term]) -> Tree:
    """The sum of one or more terms."""
    first, *rest = terms
    whole = first.signed
    for term in rest:
        whole = Binary(term.sign, whole, term.tree)
    return whole


def _negative(terms: Sequence[Term]) -> list[Term]:
    return [Term("+" if term.is_negative else "-", term.tree) for term in terms]
