"""The legend of a drawing: explains the signs that occur in it, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from rnnkit_cards.drawing.graph import NodeType
from rnnkit_cards.drawing.grid import Grid, Mark, Shape


class _Sign(Enum):
    """A sign in a drawing, in the order of the legend."""

    STATE = "the state enters on the left and leaves on the right"
    INPUT = "the input enters from below"
    JOIN = "lines that merge are inputs of the same layers"
    LAYER = "a box is a layer with weights"
    CONSTANT = "a box without an input is a learned value"
    ADDED = "a small plus on a box marks a signal that is added to the layer without a weight"
    ELEMENTWISE = "a small cross on a box marks a signal with one weight per feature instead of a matrix"
    PRODUCT = "a circle with a cross is an element-wise product"
    SUM = "a circle with a plus is a sum"
    FUNCTION = "a rounded shape is a function"


_OF_NODES = {
    NodeType.GATE: _Sign.LAYER,
    NodeType.LINEAR: _Sign.LAYER,
    NodeType.CONSTANT: _Sign.CONSTANT,
    NodeType.MULTIPLY: _Sign.PRODUCT,
    NodeType.ADD: _Sign.SUM,
    NodeType.FUNCTION: _Sign.FUNCTION,
    NodeType.COMBINE: _Sign.FUNCTION,
}
_OF_MARKS = {Mark.ADDED: _Sign.ADDED, Mark.ELEMENTWISE: _Sign.ELEMENTWISE}


def legend_of(grid: Grid) -> str:
    """The legend of a routed grid as one sentence."""
    found = set(_signs(grid))
    text = "; ".join(sign.value for sign in _Sign if sign in found)
    return f"{text[:1].upper()}{text[1:]}."


def _signs(grid: Grid) -> Iterator[_Sign]:
    if grid.graph.states:
        yield _Sign.STATE
    for block in grid.blocks:
        if block.shape is Shape.START and block.point[0] != 0:
            yield _Sign.INPUT
        elif block.shape is Shape.JOIN:
            yield _Sign.JOIN
    yield from (_OF_NODES[node.type] for node in grid.graph.nodes if node.type in _OF_NODES)
    yield from (_OF_MARKS[sink.mark] for wire in grid.wires for sink in wire.sinks if sink.mark in _OF_MARKS)
