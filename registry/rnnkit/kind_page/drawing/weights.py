"""Tells the parts of an equation that flow from those that are learned, and what has weights from what has none."""

from __future__ import annotations

from collections.abc import Collection

from rnnkit.equation import Binary, Product, Tree, names_in
from rnnkit.kind_page.drawing.signals import has_time, is_matrix


class Weights:
    """Of an equation.

    Args:
        defined: the names that its lines give a value.
    """

    def __init__(self, defined: Collection[str]) -> None:
        self._defined = defined

    def is_signal(self, name: str) -> bool:
        """Whether a name is another one at each step."""
        return name in self._defined or has_time(name)

    def are_in(self, tree: Tree) -> bool:
        """Whether a tree is made of parameters and numbers alone."""
        return not any(self.is_signal(name) for name in names_in(tree))

    def is_product(self, term: Tree) -> bool:
        """Whether a term is one thing that flows, or several stacked, times or divided by what is learned."""
        if not isinstance(term, Binary | Product) or (isinstance(term, Binary) and term.sign in "+-"):
            return False
        flows = [not self.are_in(part) for part in term.children]
        is_divisor = isinstance(term, Binary) and term.sign == "/" and flows[1]
        return sum(flows) == 1 and not is_divisor

    def is_weighted(self, term: Tree) -> bool:
        """Whether what it is multiplied by has a name: `2 h` has no weight."""
        return any(True for _ in self._names_before(term))

    def is_layer(self, term: Tree) -> bool:
        """Whether that has a matrix in it."""
        return any(map(is_matrix, self._names_before(term)))

    def is_by_feature(self, term: Tree) -> bool:
        r"""Whether a weighted term is a column and `\odot`, with one weight for each feature."""
        is_dense = isinstance(term, Product) or self.is_layer(term)
        return not is_dense and not any(self.is_product(part) for part in term.children)

    def _names_before(self, term: Tree) -> list[str]:
        """The parameters of a product, and of a product in it."""
        if not self.is_product(term):
            return []
        own = [name for part in term.children if self.are_in(part) for name in names_in(part)]
        return own + [name for part in term.children for name in self._names_before(part)]
