"""The values of a step as nodes of a graph: each is a piece of features, `(batch, width)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from rnnkit.plan.unsupported import Unsupported


def _operator(name: str) -> Callable[[Node, Operand], Operand]:
    return lambda node, other: apply(name, node, other)


def _reflected(name: str) -> Callable[[Node, Operand], Operand]:
    return lambda node, other: apply(name, other, node)


class Node:
    """A value: an instruction applied to other values, or a leaf, which a program reads.

    Arithmetic on nodes makes new nodes. A graph has one node for each value, so that nodes can be compared by identity.

    Attributes:
        graph: the graph that the node belongs to.
        name: the name of the instruction; for a leaf, its kind, such as `state`.
        arguments: nodes and constants; for a leaf, its index and its piece, both integers.
        is_leaf: True for a leaf.
        is_mask: True if the value is a boolean.
    """

    __slots__ = ("arguments", "graph", "is_leaf", "is_mask", "name")

    def __init__(self, graph: Graph, name: str, arguments: tuple[Any, ...], *, is_leaf: bool, is_mask: bool) -> None:
        self.graph = graph
        self.name = name
        self.arguments = arguments
        self.is_leaf = is_leaf
        self.is_mask = is_mask

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.arguments))})"

    def __neg__(self) -> Operand:
        return apply("neg", self)

    __add__, __radd__ = _operator("add"), _reflected("add")
    __sub__, __rsub__ = _operator("sub"), _reflected("sub")
    __mul__, __rmul__ = _operator("mul"), _reflected("mul")
    __truediv__, __rtruediv__ = _operator("div"), _reflected("div")


Operand: TypeAlias = Node | float


class Graph:
    """Makes nodes, each value once.

    Args:
        masks: the instructions whose value is a boolean.
    """

    def __init__(self, masks: frozenset[str]) -> None:
        self._masks = masks
        self._nodes: dict[tuple[Any, ...], Node] = {}

    def leaf(self, kind: str, index: int, piece: int) -> Node:
        """Return the leaf of a kind: piece number `piece` of the tensor number `index`."""
        return self._intern(kind, (index, piece), is_leaf=True)

    def apply(self, name: str, arguments: tuple[Operand, ...]) -> Node:
        """Return the value of an instruction."""
        return self._intern(name, arguments, is_leaf=False)

    def _intern(self, name: str, arguments: tuple[Any, ...], *, is_leaf: bool) -> Node:
        # `repr`, not the number: 0.0 and -0.0 are equal, and nan is not equal to itself
        key = (name, *[id(each) if isinstance(each, Node) else repr(each) for each in arguments])
        if key not in self._nodes:
            self._nodes[key] = Node(self, name, arguments, is_leaf=is_leaf, is_mask=name in self._masks)
        return self._nodes[key]


def apply(name: str, *arguments: Operand) -> Operand:
    """Return the value of an instruction on nodes and constants, simplified where this is exact, for NaN as well."""
    simple = _simplify(name, arguments)
    if simple is not None:
        return simple
    graphs = [each.graph for each in arguments if isinstance(each, Node)]
    if not graphs:
        raise Unsupported(f"{name} of constants")
    return graphs[0].apply(name, tuple(map(_as_number, arguments)))


def order(roots: Iterable[Operand], arguments: Callable[[Node], Iterable[Operand]]) -> list[Node]:
    """Return the nodes that some values depend on, each after its arguments."""
    done: dict[Node, None] = {}
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            done[node] = None  # type: ignore[index]  # only nodes are ready
        elif isinstance(node, Node) and node not in done:
            stack.append((node, True))
            stack.extend((argument, False) for argument in reversed(list(arguments(node))))
    return list(done)


def _as_number(operand: Operand) -> Operand:
    return operand if isinstance(operand, Node) else float(operand)


def _simplify(name: str, arguments: tuple[Operand, ...]) -> Operand | None:
    first, *others = arguments
    if name in {"mul", "div"} and _is(others[0], 1):
        return first
    if name == "mul" and _is(first, 1):
        return others[0]
    if name == "where" and not isinstance(first, Node):
        return others[0] if first else others[1]
    return None


def _is(operand: Operand, value: float) -> bool:
    return not isinstance(operand, Node) and operand == value
