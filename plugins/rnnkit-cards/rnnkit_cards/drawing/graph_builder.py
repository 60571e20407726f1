"""Builds a graph from the trees of an equation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from rnnkit.equation import (
    FUNCTIONS,
    Arguments,
    Binary,
    Call,
    Equation,
    Line,
    Name,
    Number,
    Product,
    Stacked,
    Tree,
    Unary,
    UnreadableEquationError,
    names_in,
    resolved,
)
from rnnkit_cards.drawing.graph import Graph, Node, NodeType, slot
from rnnkit_cards.drawing.signals import is_function, is_matrix, one_step_later
from rnnkit_cards.drawing.simplification import simplify
from rnnkit_cards.drawing.terms import Term, split_terms, sum_terms
from rnnkit_cards.drawing.weights import Weights


def build_graph(equation: Equation) -> Graph:
    """Build the graph of an equation, with a node for each layer and operation; equal expressions share a node.

    Raises:
        UnreadableEquationError: a line uses a name that only a later line defines, or a function has no argument.
    """
    builder = _GraphBuilder(equation.defined)
    for line in equation.lines:
        builder.read(line)
    lines = tuple(map(frozenset, builder.lines))
    return simplify(Graph(tuple(builder.nodes), builder.names, builder.states(), builder.outputs(), lines))


class _GraphBuilder:
    def __init__(self, defined: Sequence[str]) -> None:
        self.nodes: list[Node] = []
        self.names: dict[str, int] = {}
        self.lines: list[set[int]] = []
        self._numbers: dict[Node, int] = {}
        self._defined = defined
        self._used: set[str] = set()
        self._weights = Weights(defined)

    def read(self, line: Line) -> None:
        """Add the nodes of a line's right side, and name the last one."""
        tree = resolved(line.tree, self._is_function)
        _refuse_bare_functions(tree)
        self._used |= set(names_in(tree))
        self.names[line.name] = number = self._node_of(tree)
        self.lines[number].add(len(self.names) - 1)

    def states(self) -> dict[str, str]:
        """Name of each state before the step -> its name after it."""
        inputs = [node.expression.name for node in self.nodes if isinstance(node.expression, Name)]
        later = {name: one_step_later(name) for name in inputs if name not in self.names}
        return {name: after for name, after in later.items() if after != name and after in self.names}

    def outputs(self) -> tuple[str, ...]:
        """The states after the step, and the names that no line uses."""
        after = list(self.states().values())
        return (*after, *(name for name in self.names if name not in self._used and name not in after))

    def _is_function(self, name: str, before_brackets: bool) -> bool:
        return not self._weights.is_signal(name) and is_function(name, before_brackets)

    def _node_of(self, tree: Tree) -> int:
        """The node that computes a tree."""
        if isinstance(tree, Arguments):
            raise UnreadableEquationError("arguments without a function cannot be drawn")
        if self._weights.are_in(tree):
            return self._add(Node(NodeType.CONSTANT, tree))
        return self._named(tree.name) if isinstance(tree, Name) else self._composed(tree)

    def _named(self, name: str) -> int:
        if name in self.names:
            return self.names[name]
        if name in self._defined:
            raise UnreadableEquationError(f"{name} cannot be drawn: it is used before the line that defines it")
        return self._add(Node(NodeType.INPUT, Name(name)))

    def _composed(self, tree: Tree) -> int:
        match tree:
            case Call():
                return self._call(tree)
            case Binary("+" | "-") | Unary("-"):
                return self._sum(split_terms(tree))
            case Binary() | Product():
                return self._product(tree)
        return self._operation(NodeType.COMBINE if isinstance(tree, Stacked) else NodeType.FUNCTION, tree)

    def _call(self, call: Call) -> int:
        """A gate if the argument is a sum with weights, else an operation."""
        signals = [part for part in call.arguments if not self._weights.are_in(part)]
        if len(signals) > 1:
            return self._operation(NodeType.COMBINE, call)
        terms = split_terms(signals[0])
        if not any(self._weights.is_weighted(term.tree) for term in terms):
            return self._operation(NodeType.FUNCTION, call)
        layer = [term for term in terms if self._weights.is_weighted(term.tree) or self._weights.are_in(term.tree)]
        added = [term for term in terms if term not in layer]
        return self._gate(call, signals[0], layer, added)

    def _gate(self, call: Call, argument: Tree, layer: list[Term], added: list[Term]) -> int:
        """A gate, which adds the sum of all terms without weights to its linear layer."""
        expression = self._weighted(layer)
        beside = (self._sum(added),) if added else ()
        inside = sum_terms([Term("+", expression), *(Term("+", slot(number)) for number in beside)])
        whole = call.with_children(tuple(inside if part is argument else part for part in call.arguments))
        inputs = _slots_in(expression)
        return self._add(Node(NodeType.GATE, whole, inputs, beside, self._elementwise(layer, inputs)))

    def _layer(self, terms: list[Term]) -> int:
        expression = self._weighted(terms)
        inputs = _slots_in(expression)
        return self._add(Node(NodeType.LINEAR, expression, inputs, (), self._elementwise(terms, inputs)))

    def _elementwise(self, terms: list[Term], inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The inputs that all terms multiply element-wise, not by a matrix."""
        dense = [term for term in terms if not self._weights.is_elementwise(term.tree)]
        taken = {number for term in dense for number in _slots_in(self._with_slots(term.tree))}
        return tuple(number for number in inputs if number not in taken)

    def _sum(self, terms: list[Term]) -> int:
        """A sum: all layers in one node, then the other terms one by one, constants last."""
        layers = [term for term in terms if self._weights.is_layer(term.tree)]
        constants = [term for term in terms if self._weights.are_in(term.tree)]
        rest = [term for term in terms if term not in layers and term not in constants]
        rest.sort(key=lambda term: term.is_negative)
        parts = [self._layer([term for term in terms if term not in rest])] if layers else []
        if constants and not layers and rest[0].is_negative:
            parts = [self._shifted(constants, rest.pop(0))]
            constants = []
        parts += [self._shifted([], term) for term in rest]
        whole = reduce(self._added, parts)
        return whole if layers or not constants else self._function([Term("+", slot(whole)), *constants], whole)

    def _added(self, left: int, right: int) -> int:
        return self._add(Node(NodeType.ADD, Binary("+", slot(left), slot(right)), (left, right)))

    def _shifted(self, constants: list[Term], term: Term) -> int:
        """The node of a term, subtracted from the constants if it is negative."""
        number = self._node_of(term.tree)
        return self._function([*constants, Term("-", slot(number))], number) if term.is_negative else number

    def _function(self, terms: list[Term], source: int) -> int:
        return self._add(Node(NodeType.FUNCTION, sum_terms(terms), (source,)))

    def _product(self, tree: Binary | Product) -> int:
        if self._weights.is_layer(tree):
            return self._layer([Term("+", tree)])
        if sum(not self._weights.are_in(part) for part in tree.children) == 1:
            return self._operation(NodeType.FUNCTION, tree)
        if isinstance(tree, Product) or (tree.sign == "." and any(map(is_matrix, names_in(tree)))):
            return self._operation(NodeType.COMBINE, tree)
        left, right = (self._node_of(part) for part in tree.children)
        if tree.sign == "/":
            right = self._add(Node(NodeType.FUNCTION, Binary("/", Number("1"), slot(right)), (right,)))
        return self._add(Node(NodeType.MULTIPLY, Binary("*", slot(left), slot(right)), (left, right)))

    def _operation(self, node_type: NodeType, tree: Tree) -> int:
        """A node for the outermost operation of a tree, whose sources are the signals of its parts."""
        parts = [part if self._weights.are_in(part) else slot(self._node_of(part)) for part in tree.children]
        expression = tree.with_children(tuple(parts))
        return self._add(Node(node_type, expression, _slots_in(expression)))

    def _weighted(self, terms: list[Term]) -> Tree:
        return sum_terms([Term(term.sign, self._with_slots(term.tree)) for term in terms])

    def _with_slots(self, term: Tree) -> Tree:
        """A term of a layer with its signals replaced by slots."""
        if self._weights.are_in(term):
            return term
        if isinstance(term, Stacked) or self._weights.is_product(term):
            return term.with_children(tuple(self._with_slots(part) for part in term.children))
        return slot(self._node_of(term))

    def _add(self, node: Node) -> int:
        if node not in self._numbers:
            self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
            self.lines.append(set())
        self.lines[self._numbers[node]].add(len(self.names))  # the index of the line being read
        return self._numbers[node]


def _refuse_bare_functions(tree: Tree) -> None:
    if isinstance(tree, Name) and tree.name in FUNCTIONS:
        raise UnreadableEquationError(f"{tree.name} cannot be drawn: it is a function without its argument")
    for child in tree.children:
        _refuse_bare_functions(child)


def _slots_in(tree: Tree) -> tuple[int, ...]:
    """The nodes whose slots occur in a tree, each once."""
    return tuple(dict.fromkeys(int(name[1:]) for name in names_in(tree) if name.startswith("#")))
