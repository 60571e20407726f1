"""Alternative text of a drawing for screen readers, and the tooltips of its blocks."""

from __future__ import annotations

from rnnkit.equation import Binary, Call, Name, Tree
from rnnkit_cards.drawing.graph import Graph, NodeType, slot
from rnnkit_cards.drawing.math_text import expression_text, name_text, plain_text
from rnnkit_cards.drawing.simplification import substitute

_LAYER = r"\mathrm{layer}"


def describe_graph(graph: Graph) -> str:
    """Describe a graph: its inputs, a sentence for each name, its outputs."""
    inputs = [graph.name_of(number) for number, node in enumerate(graph.nodes) if node.type is NodeType.INPUT]
    states = [name for name in inputs if name in graph.states]
    others = [name for name in inputs if name not in graph.states]
    inputs_text = [f"Enters on the left: {_joined(states)}."] if states else []
    inputs_text += [f"Enters from below: {_joined(others)}."] if others else []
    lines = [f"{_plain(name)} = {_short_text(graph, number)}." for name, number in graph.names.items()]
    has_layers = any(node.type in (NodeType.GATE, NodeType.LINEAR) for node in graph.nodes)
    note = ["A layer is a weighted sum of signals plus a bias."] if has_layers else []
    return " ".join([*inputs_text, *lines, *note, f"Leaves on the right: {_joined(graph.outputs)}."])


def node_text(graph: Graph, number: int) -> str:
    """The computation of a node as in the equation: `f_t = tanh(W_f x_t + b_f)`."""
    name = graph.name_of(number)
    expression = plain_text(expression_text(_whole(graph, number)))
    return f"{_plain(name)} = {expression}" if name else expression


def _whole(graph: Graph, number: int) -> Tree:
    """The expression of a node in terms of named nodes."""
    node = graph.nodes[number]
    return substitute(node.expression, {slot(source): _reference(graph, source) for source in node.sources})


def _reference(graph: Graph, number: int) -> Tree:
    name = graph.name_of(number)
    return Name(name) if name else _whole(graph, number)


def _short_text(graph: Graph, number: int) -> str:
    return plain_text(expression_text(_short(graph, number)))


def _short(graph: Graph, number: int) -> Tree:
    """The expression of a node, with `layer(...)` for each linear layer."""
    node = graph.nodes[number]
    inputs = tuple(_short_reference(graph, source) for source in node.inputs)
    if node.type is NodeType.LINEAR:
        return Call(_LAYER, inputs)
    if node.type is NodeType.GATE and isinstance(node.expression, Call):
        inside: Tree = Call(_LAYER, inputs)
        for added in node.added:
            inside = Binary("+", inside, _short_reference(graph, added))
        return Call(node.expression.function, (inside,))
    return substitute(node.expression, {slot(source): _short_reference(graph, source) for source in node.sources})


def _short_reference(graph: Graph, number: int) -> Tree:
    name = graph.name_of(number)
    return Name(name) if name else _short(graph, number)


def _joined(names: list[str] | tuple[str, ...]) -> str:
    texts = [_plain(name) for name in names]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _plain(name: str) -> str:
    return plain_text(name_text(name))
