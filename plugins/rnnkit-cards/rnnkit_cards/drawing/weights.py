"""Tells signals from parameters in an equation, and terms with weights from terms without."""

from __future__ import annotations

from collections.abc import Collection

from rnnkit.equation import Binary, Product, Tree, names_in
from rnnkit_cards.drawing.signals import has_time, is_matrix


class Weights:
    """The weights of an equation.

    Args:
        defined: names that its lines define.
    """

    def __init__(self, defined: Collection[str]) -> None:
        self._defined = defined

    def is_signal(self, name: str) -> bool:
        """True if a name has another value at each step."""
        return name in self._defined or has_time(name)

    def are_in(self, tree: Tree) -> bool:
        """True if a tree consists of parameters and numbers only."""
        return not any(self.is_signal(name) for name in names_in(tree))

    def is_product(self, term: Tree) -> bool:
        """True if a term is one signal, or several stacked, multiplied or divided by parameters."""
        if not isinstance(term, Binary | Product) or (isinstance(term, Binary) and term.sign in "+-"):
            return False
        flows = [not self.are_in(part) for part in term.children]
        is_divisor = isinstance(term, Binary) and term.sign == "/" and flows[1]
        return sum(flows) == 1 and not is_divisor

    def is_weighted(self, term: Tree) -> bool:
        """True if a term has a named factor: `2 h` has no weight."""
        return any(True for _ in self._names_before(term))

    def is_layer(self, term: Tree) -> bool:
        """True if a factor of the term is a matrix."""
        return any(map(is_matrix, self._names_before(term)))

    def is_elementwise(self, term: Tree) -> bool:
        r"""True if a weighted term multiplies by a vector with `\odot`, with one weight per feature."""
        is_dense = isinstance(term, Product) or self.is_layer(term)
        return not is_dense and not any(self.is_product(part) for part in term.children)

    def _names_before(self, term: Tree) -> list[str]:
        """The parameters of a product, including products in it."""
        if not self.is_product(term):
            return []
        own = [name for part in term.children if self.are_in(part) for name in names_in(part)]
        return own + [name for part in term.children for name in self._names_before(part)]
