"""Merges chains of arithmetic into one node: `1 / sqrt(c^2 + 1)` is drawn as one operation."""

from __future__ import annotations

from collections.abc import Callable

from rnnkit.equation import Call, Name, Tree
from rnnkit_cards.drawing.graph import Graph, Node, NodeType, slot


def simplify(graph: Graph) -> Graph:
    """The graph with each unnamed arithmetic function merged into the arithmetic function that is its only user."""
    nodes, lines = list(graph.nodes), list(graph.lines)
    merged = [number for number in range(len(nodes)) if _can_be_merged(graph, number)]
    for number in merged:
        (user,) = graph.users_of(number)
        expression = substitute(nodes[user].expression, {slot(number): nodes[number].expression})
        nodes[user] = Node(NodeType.FUNCTION, expression, nodes[number].inputs)
        lines[user] |= lines[number]
    kept = [number for number in range(len(nodes)) if number not in merged]
    renumbering = {number: at for at, number in enumerate(kept)}
    names = {name: renumbering[number] for name, number in graph.names.items()}
    return Graph(
        tuple(_renumbered(nodes[each], renumbering.__getitem__) for each in kept),
        names,
        graph.states,
        graph.outputs,
        tuple(lines[each] for each in kept),
    )


def substitute(tree: Tree, replacements: dict[Name, Tree]) -> Tree:
    """A tree with names replaced by other trees."""
    if isinstance(tree, Name):
        return replacements.get(tree, tree)
    return tree.with_children(tuple(substitute(child, replacements) for child in tree.children))


def _can_be_merged(graph: Graph, number: int) -> bool:
    users = graph.users_of(number)
    is_alone = len(users) == 1 and not graph.name_of(number)
    return is_alone and _is_arithmetic(graph.nodes[number]) and _is_arithmetic(graph.nodes[users[0]])


def _is_arithmetic(node: Node) -> bool:
    return node.type is NodeType.FUNCTION and not isinstance(node.expression, Call)


def _renumbered(node: Node, renumbering: Callable[[int], int]) -> Node:
    slots: dict[Name, Tree] = {slot(source): slot(renumbering(source)) for source in node.sources}
    expression = node.expression if node.type is NodeType.INPUT else substitute(node.expression, slots)
    inputs, added, elementwise = (tuple(map(renumbering, each)) for each in (node.inputs, node.added, node.elementwise))
    return Node(node.type, expression, inputs, added, elementwise)
