"""The sizes of blocks, and the text in them."""

from __future__ import annotations

from rnnkit.equation import Call, Name, Tree, names_in
from rnnkit_cards.drawing.graph import Graph, NodeType, slot
from rnnkit_cards.drawing.grid import Grid, Shape
from rnnkit_cards.drawing.math_text import Run, Text, expression_text, name_text, text_width
from rnnkit_cards.drawing.signals import is_matrix
from rnnkit_cards.drawing.simplification import substitute

END_FONT_SIZE = 17.0  # of names at the edge of the cell
NAME_FONT_SIZE = 15.0  # of names inside the cell
BLOCK_FONT_SIZE = 15.0
PORT = 13.0  # distance of ports from the center of a box
BOX = (27.0, 17.0)
RADIUS = 12.0
PILL = 14.0


class Sizes:
    """The sizes of the blocks of a grid."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.texts = [block_text(grid.graph, block.node) if block.shape in _WITH_TEXT else () for block in grid.blocks]

    def half(self, block: int) -> tuple[float, float]:
        """Half the width and half the height of a block."""
        shape = self._grid.blocks[block].shape
        if shape is Shape.CIRCLE:
            return RADIUS, RADIUS
        if shape is Shape.BOX:
            return max(BOX[0], self._text_half(block) + 8), BOX[1]
        if shape is Shape.PILL:
            return max(PILL, self._text_half(block) + 9), PILL
        return 0.0, 0.0

    def _text_half(self, block: int) -> float:
        return text_width(self.texts[block], BLOCK_FONT_SIZE) / 2


_WITH_TEXT = {Shape.BOX, Shape.PILL}
_PLACEHOLDER = Name("#")  # placeholder for an incoming signal
_MAX_MATRICES = 3  # whose names are written in a layer without an activation function


def block_text(graph: Graph, number: int) -> Text:
    """The text in the block of a node."""
    node = graph.nodes[number]
    if node.type is NodeType.GATE and isinstance(node.expression, Call):
        return _function_text(node.expression)
    if node.type is NodeType.LINEAR:
        names = dict.fromkeys(name for name in names_in(node.expression) if is_matrix(name))
        return _joined(list(names)) if len(names) <= _MAX_MATRICES else (Run("linear"),)
    return expression_text(substitute(node.expression, {slot(source): _PLACEHOLDER for source in node.sources}))


def _joined(names: list[str]) -> Text:
    first, *others = names
    return (*name_text(first), *(run for name in others for run in (Run(", "), *name_text(name))))


def _function_text(call: Call) -> Text:
    """The activation function of a gate; with several arguments, a dot stands for the linear layer."""
    parts: tuple[Tree, ...] = tuple(_PLACEHOLDER if _has_slot(part) else part for part in call.arguments)
    return expression_text(call.with_children(parts))


def _has_slot(tree: Tree) -> bool:
    return any(name.startswith("#") for name in names_in(tree))
