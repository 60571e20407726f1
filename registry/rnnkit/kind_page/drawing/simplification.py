"""Makes one node of arithmetic that follows arithmetic: `1 / sqrt(c^2 + 1)` is one operation to who looks at it."""

from __future__ import annotations

from collections.abc import Callable

from rnnkit.equation import Call, Name, Tree
from rnnkit.kind_page.drawing.graph import Graph, Node, Sort, slot


def simplified(graph: Graph) -> Graph:
    """The same graph, without functions whose signal nothing but another takes, and which have no name."""
    nodes = list(graph.nodes)
    gone = [number for number in range(len(nodes)) if _can_be_part(graph, number)]
    for number in gone:
        (user,) = graph.users_of(number)
        expression = replaced(nodes[user].expression, {slot(number): nodes[number].expression})
        nodes[user] = Node(Sort.FUNCTION, expression, nodes[number].inputs)
    kept = [number for number in range(len(nodes)) if number not in gone]
    new = {number: at for at, number in enumerate(kept)}
    names = {name: new[number] for name, number in graph.names.items()}
    return Graph(tuple(_renumbered(nodes[each], new.__getitem__) for each in kept), names, graph.states, graph.outputs)


def replaced(tree: Tree, by: dict[Name, Tree]) -> Tree:
    """A tree with others in the places of names."""
    if isinstance(tree, Name):
        return by.get(tree, tree)
    return tree.with_children(tuple(replaced(child, by) for child in tree.children))


def _can_be_part(graph: Graph, number: int) -> bool:
    users = graph.users_of(number)
    is_alone = len(users) == 1 and not graph.name_of(number)
    return is_alone and _is_arithmetic(graph.nodes[number]) and _is_arithmetic(graph.nodes[users[0]])


def _is_arithmetic(node: Node) -> bool:
    return node.sort is Sort.FUNCTION and not isinstance(node.expression, Call)


def _renumbered(node: Node, new: Callable[[int], int]) -> Node:
    slots: dict[Name, Tree] = {slot(source): slot(new(source)) for source in node.sources}
    expression = node.expression if node.sort is Sort.INPUT else replaced(node.expression, slots)
    inputs, added, by_feature = (tuple(map(new, each)) for each in (node.inputs, node.added, node.by_feature))
    return Node(node.sort, expression, inputs, added, by_feature)
