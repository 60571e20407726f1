"""What a drawing shows, in words: for who cannot see it, and for who points at a part of it."""

from __future__ import annotations

from rnnkit.equation import Binary, Call, Name, Tree
from rnnkit.kind_page.drawing.graph import Graph, Sort, slot
from rnnkit.kind_page.drawing.letters import expression_text, name_text, plain
from rnnkit.kind_page.drawing.simplification import replaced

_LAYER = r"\mathrm{layer}"


def description_of(graph: Graph) -> str:
    """A sentence on what comes in, one on each name, and one on what goes out."""
    inputs = [graph.name_of(number) for number, node in enumerate(graph.nodes) if node.sort is Sort.INPUT]
    states = [name for name in inputs if name in graph.states]
    others = [name for name in inputs if name not in graph.states]
    comes = [f"From the left comes {_listed(states)}."] if states else []
    comes += [f"From below comes {_listed(others)}."] if others else []
    lines = [f"{_plain(name)} = {_in_short(graph, number)}." for name, number in graph.names.items()]
    has_layers = any(node.sort in (Sort.GATE, Sort.LINEAR) for node in graph.nodes)
    legend = ["A layer is a sum of weights times signals, and of a bias."] if has_layers else []
    return " ".join([*comes, *lines, *legend, f"To the right leaves {_listed(graph.outputs)}."])


def meaning_of(graph: Graph, number: int) -> str:
    """What a node computes, as its equation says it: `f_t = tanh(W_f x_t + b_f)`."""
    name = graph.name_of(number)
    expression = plain(expression_text(_whole(graph, number)))
    return f"{_plain(name)} = {expression}" if name else expression


def _whole(graph: Graph, number: int) -> Tree:
    """The expression of a node, down to what has a name."""
    node = graph.nodes[number]
    return replaced(node.expression, {slot(source): _reference(graph, source) for source in node.sources})


def _reference(graph: Graph, number: int) -> Tree:
    name = graph.name_of(number)
    return Name(name) if name else _whole(graph, number)


def _in_short(graph: Graph, number: int) -> str:
    return plain(expression_text(_short(graph, number)))


def _short(graph: Graph, number: int) -> Tree:
    """The expression of a node, with the word layer for each layer."""
    node = graph.nodes[number]
    inputs = tuple(_short_reference(graph, source) for source in node.inputs)
    if node.sort is Sort.LINEAR:
        return Call(Name(_LAYER), inputs)
    if node.sort is Sort.GATE and isinstance(node.expression, Call):
        inside: Tree = Call(Name(_LAYER), inputs)
        for added in node.added:
            inside = Binary("+", inside, _short_reference(graph, added))
        return Call(node.expression.function, (inside,))
    return replaced(node.expression, {slot(source): _short_reference(graph, source) for source in node.sources})


def _short_reference(graph: Graph, number: int) -> Tree:
    name = graph.name_of(number)
    return Name(name) if name else _short(graph, number)


def _listed(names: list[str] | tuple[str, ...]) -> str:
    words = [_plain(name) for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _plain(name: str) -> str:
    return plain(name_text(name))
