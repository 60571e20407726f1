"""Reads a graph from the trees of an equation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from rnnkit.kind_page.drawing.graph import Graph, Node, Sort, slot
from rnnkit.kind_page.drawing.simplification import simplified
from rnnkit.kind_page.drawing.signals import has_time, is_function, is_matrix, one_step_later
from rnnkit.testing.latex.equation import Equation, Line
from rnnkit.testing.latex.tokens import UnreadableEquationError
from rnnkit.testing.latex.tree import (
    Arguments,
    Binary,
    Call,
    Name,
    Number,
    Product,
    Stacked,
    Tree,
    Unary,
    children,
    names_in,
    resolved,
    with_children,
)


def graph_of(equation: Equation) -> Graph:
    """What an equation computes, with a node for each layer and each operation; what it has twice is one node.

    Raises:
        UnreadableEquationError: a line uses what only a later one defines, or a function has no argument.
    """
    reading = _Reading(equation.defined)
    for line in equation.lines:
        reading.read(line)
    return simplified(Graph(tuple(reading.nodes), reading.names, reading.states(), reading.outputs()))


class _Reading:
    def __init__(self, defined: Sequence[str]) -> None:
        self.nodes: list[Node] = []
        self.names: dict[str, int] = {}
        self._numbers: dict[Node, int] = {}
        self._defined = defined
        self._used: set[str] = set()

    def read(self, line: Line) -> None:
        """Give a line's name the node of what stands on its right."""
        tree = resolved(line.tree, lambda name, brackets: not self._is_signal(name.name) and _called(name, brackets))
        self._used |= set(names_in(tree)) - {line.name}
        self.names[line.name] = self._node_of(tree)

    def states(self) -> dict[str, str]:
        """From each state before the step to the same after it."""
        inputs = [node.expression.name for node in self.nodes if isinstance(node.expression, Name)]
        later = {name: one_step_later(name) for name in inputs if name not in self.names}
        return {name: after for name, after in later.items() if after != name and after in self.names}

    def outputs(self) -> tuple[str, ...]:
        after = list(self.states().values())
        return (*after, *(name for name in self.names if name not in self._used and name not in after))

    def _node_of(self, tree: Tree) -> int:
        """The node whose signal is the value of a tree."""
        if not self._signals_in(tree) and not isinstance(tree, Arguments):
            return self._add(Node(Sort.CONSTANT, tree))
        match tree:
            case Name(name):
                return self._named(name)
            case Call():
                return self._call(tree)
            case Binary("+" | "-") | Unary("-"):
                return self._sum(_terms(tree))
            case Binary() | Product():
                return self._product(tree)
            case Stacked():
                return self._operation(Sort.COMBINE, tree)
            case Arguments():
                raise UnreadableEquationError("arguments without a function cannot be drawn")
        return self._operation(Sort.FUNCTION, tree)

    def _named(self, name: str) -> int:
        if name in self.names:
            return self.names[name]
        if name in self._defined:
            raise UnreadableEquationError(f"{name} cannot be drawn: it is used before the line that defines it")
        return self._add(Node(Sort.INPUT, Name(name)))

    def _call(self, call: Call) -> int:
        """A gate, if the function is of a sum with weights in it; else an operation."""
        signals = [part for part in call.arguments if self._signals_in(part)]
        if len(signals) > 1:
            return self._operation(Sort.COMBINE, call)
        terms = _terms(signals[0])
        if not any(self._is_weighted(term) for _, term in terms):
            return self._operation(Sort.FUNCTION, call)
        added = [term if sign == "+" else Unary("-", term) for sign, term in terms if self._is_added(term)]
        layer = [(sign, self._weighted(term)) for sign, term in terms if not self._is_added(term)]
        numbers = tuple(self._node_of(term) for term in added)
        inside = _summed([*layer, *(("+", slot(number)) for number in numbers)])
        whole = Call(call.function, tuple(inside if part is signals[0] else part for part in call.arguments))
        inputs = _slots_in(_summed(layer))
        return self._add(Node(Sort.GATE, whole, inputs, numbers, self._by_feature(terms, inputs)))

    def _sum(self, terms: list[tuple[str, Tree]]) -> int:
        """Layers in one node, then what else there is, one after another; at the end, what is learned alone."""
        layers = [term for term in terms if self._is_layer(term[1])]
        constants = [term for term in terms if not self._signals_in(term[1])]
        rest = sorted((term for term in terms if term not in layers and term not in constants), key=_is_negative)
        if layers:
            parts = [self._layer([term for term in terms if term not in rest])]
            constants = []
        elif constants and _is_negative(rest[0]):
            parts = [self._shifted(rest.pop(0), constants)]
            constants = []
        else:
            parts = []
        parts += [self._shifted(term, []) for term in rest]
        whole = reduce(lambda left, right: self._add(Node(Sort.ADD, _both("+", left, right), (left, right))), parts)
        return self._function(_summed([("+", slot(whole)), *constants]), whole) if constants else whole

    def _layer(self, terms: list[tuple[str, Tree]]) -> int:
        expression = _summed([(sign, self._weighted(term)) for sign, term in terms])
        inputs = _slots_in(expression)
        return self._add(Node(Sort.LINEAR, expression, inputs, (), self._by_feature(terms, inputs)))

    def _by_feature(self, terms: list[tuple[str, Tree]], inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The inputs that no term multiplies by a matrix, but feature by feature."""
        layered = [term for _, term in terms if self._is_weighted(term)]
        dense = {each for term in layered if not self._is_by_feature(term) for each in _slots_in(self._weighted(term))}
        return tuple(each for each in inputs if each not in dense)

    def _is_by_feature(self, term: Tree) -> bool:
        is_dense = isinstance(term, Product) or self._is_layer(term)
        return not is_dense and not any(self._is_product(part) for part in children(term))

    def _shifted(self, term: tuple[str, Tree], constants: list[tuple[str, Tree]]) -> int:
        """A signal as it is, or what it is subtracted from."""
        sign, tree = term
        number = self._node_of(tree)
        return number if sign == "+" else self._function(_summed([*constants, (sign, slot(number))]), number)

    def _function(self, expression: Tree, source: int) -> int:
        return self._add(Node(Sort.FUNCTION, expression, (source,)))

    def _product(self, tree: Binary | Product) -> int:
        if self._is_layer(tree):
            return self._layer([("+", tree)])
        signals = [part for part in children(tree) if self._signals_in(part)]
        if len(signals) == 1:
            return self._operation(Sort.FUNCTION, tree)
        if isinstance(tree, Product) or (tree.sign == "." and any(map(is_matrix, names_in(tree)))):
            return self._operation(Sort.COMBINE, tree)
        left, right = (self._node_of(part) for part in children(tree))
        if tree.sign == "/":
            right = self._function(Binary("/", Number("1"), slot(right)), right)
        return self._add(Node(Sort.MULTIPLY, _both("*", left, right), (left, right)))

    def _operation(self, sort: Sort, tree: Tree) -> int:
        """A node for the outermost operation of a tree, of whatever signals are in its parts."""
        parts = tuple(slot(self._node_of(part)) if self._signals_in(part) else part for part in children(tree))
        expression = with_children(tree, parts)
        return self._add(Node(sort, expression, _slots_in(expression)))

    def _weighted(self, term: Tree) -> Tree:
        """A term of a layer, with slots for its signals."""
        if not self._signals_in(term):
            return term
        if isinstance(term, Stacked) or self._is_product(term):
            return with_children(term, tuple(self._weighted(part) for part in children(term)))
        return slot(self._node_of(term))

    def _is_added(self, term: Tree) -> bool:
        return bool(self._signals_in(term)) and not self._is_weighted(term)

    def _is_weighted(self, term: Tree) -> bool:
        """Whether a term is one signal times parameters, or several stacked."""
        return self._is_product(term) and any(_is_learned(part) for part in self._weights_of(term))

    def _is_layer(self, term: Tree) -> bool:
        """Whether one of those is a matrix."""
        return self._is_product(term) and any(is_matrix(name) for part in self._weights_of(term) for name in names_in(part))

    def _is_product(self, term: Tree) -> bool:
        if not isinstance(term, Binary | Product) or (isinstance(term, Binary) and term.sign not in "*./"):
            return False
        signals = [bool(self._signals_in(part)) for part in children(term)]
        is_divisor = isinstance(term, Binary) and term.sign == "/" and signals[1]
        return sum(signals) == 1 and not is_divisor

    def _weights_of(self, term: Tree) -> list[Tree]:
        """The parameters of a product, and of a product in it."""
        if not self._is_product(term):
            return []
        own = [part for part in children(term) if not self._signals_in(part)]
        return own + [weight for part in children(term) for weight in self._weights_of(part)]

    def _signals_in(self, tree: Tree) -> list[str]:
        return [name for name in names_in(tree) if self._is_signal(name)]

    def _is_signal(self, name: str) -> bool:
        return name in self._defined or has_time(name)

    def _add(self, node: Node) -> int:
        if node not in self._numbers:
            self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self._numbers[node]


def _called(name: Name, before_brackets: bool) -> bool:
    return is_function(name.name, before_brackets)


def _is_learned(weight: Tree) -> bool:
    return any(True for _ in names_in(weight))


def _terms(tree: Tree) -> list[tuple[str, Tree]]:
    """The terms of a sum, each with its sign."""
    match tree:
        case Binary("+", left, right):
            return [*_terms(left), *_terms(right)]
        case Binary("-", left, right):
            return [*_terms(left), *_negative(_terms(right))]
        case Unary("-", of):
            return _negative(_terms(of))
    return [("+", tree)]


def _is_negative(term: tuple[str, Tree]) -> bool:
    return term[0] == "-"


def _negative(terms: list[tuple[str, Tree]]) -> list[tuple[str, Tree]]:
    return [("-" if sign == "+" else "+", term) for sign, term in terms]


def _summed(terms: Sequence[tuple[str, Tree]]) -> Tree:
    (sign, first), *rest = terms
    whole = first if sign == "+" else Unary("-", first)
    for sign, term in rest:
        whole = Binary("+" if sign == "+" else "-", whole, term)
    return whole


def _both(sign: str, left: int, right: int) -> Tree:
    return Binary("+" if sign == "+" else "*", slot(left), slot(right))


def _slots_in(tree: Tree) -> tuple[int, ...]:
    """The nodes whose slots are in a tree, each once."""
    return tuple(dict.fromkeys(int(name[1:]) for name in names_in(tree) if name.startswith("#")))
