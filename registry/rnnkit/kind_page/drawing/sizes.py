"""How large the blocks of a drawing are, and what is written in them."""

from __future__ import annotations

from rnnkit.equation import Call, Name, Tree, names_in
from rnnkit.kind_page.drawing.graph import Graph, Sort, slot
from rnnkit.kind_page.drawing.grid import Grid, Shape
from rnnkit.kind_page.drawing.letters import Run, Text, expression_text, name_text, width_of
from rnnkit.kind_page.drawing.signals import is_matrix
from rnnkit.kind_page.drawing.simplification import replaced

LETTERS = 17.0  # size of the names of what comes in and goes out
NAMES = 15.0  # and of those inside
IN_BLOCKS = 15.0
PORT = 13.0  # of ports from the middle of a box
BOX = (27.0, 17.0)
RADIUS = 12.0
PILL = 14.0


class Sizes:
    """Of the blocks of a grid."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.texts = [block_text(grid.graph, block.node) if block.shape in _WRITTEN else () for block in grid.blocks]

    def half(self, block: int) -> tuple[float, float]:
        """Half of its width and of its height."""
        shape = self._grid.blocks[block].shape
        if shape is Shape.CIRCLE:
            return RADIUS, RADIUS
        if shape is Shape.BOX:
            return max(BOX[0], self._text_half(block) + 8), BOX[1]
        if shape is Shape.PILL:
            return max(PILL, self._text_half(block) + 9), PILL
        return 0.0, 0.0

    def _text_half(self, block: int) -> float:
        return width_of(self.texts[block], IN_BLOCKS) / 2


_WRITTEN = {Shape.BOX, Shape.PILL}
_OPEN = Name("#")  # where a signal comes in
_MOST_MATRICES = 3  # that are named in a layer without a function


def block_text(graph: Graph, number: int) -> Text:
    """What is written in a block."""
    node = graph.nodes[number]
    if node.sort is Sort.GATE and isinstance(node.expression, Call):
        return _function_text(node.expression)
    if node.sort is Sort.LINEAR:
        names = dict.fromkeys(name for name in names_in(node.expression) if is_matrix(name))
        return _listed(list(names)) if len(names) <= _MOST_MATRICES else (Run("linear"),)
    return expression_text(replaced(node.expression, {slot(source): _OPEN for source in node.sources}))


def _listed(names: list[str]) -> Text:
    first, *others = names
    return (*name_text(first), *(run for name in others for run in (Run(", "), *name_text(name))))


def _function_text(call: Call) -> Text:
    """The function of a gate; of several arguments, with a dot for what the layer gives."""
    parts: tuple[Tree, ...] = tuple(_OPEN if _has_slot(part) else part for part in call.arguments)
    return expression_text(call.with_children(parts))


def _has_slot(tree: Tree) -> bool:
    return any(name.startswith("#") for name in names_in(tree))
