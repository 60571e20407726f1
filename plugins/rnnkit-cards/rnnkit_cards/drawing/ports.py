"""The ports where a wire may start and end at each block, given the ports in use."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from rnnkit_cards.drawing.flow import find_rails
from rnnkit_cards.drawing.graph import NodeType
from rnnkit_cards.drawing.grid import Block, Grid, Mark, Point, Port, Shape, Side, Sink
from rnnkit_cards.drawing.signals import is_past

Taken = AbstractSet[tuple[Point, Side]]
"""Ports in use: where wires touch blocks or the edge of the cell."""

_OUT = {Side.NORTH: 0.0, Side.EAST: 0.0, Side.SOUTH: 12.0, Side.WEST: 40.0}
_ASKEW = 60.0  # for a signal that crosses a function sideways whose neighbors are above or below
_OTHER_LINE = 250.0  # for a state that leaves on another line than it entered
_BACKWARDS = 15.0  # for a signal that enters an operation from the right
_INTO_SIDE = 70.0  # for a signal that enters a box from a side, unless it is added to the layer
_APART = 3  # lines between two inputs that enter from below


class Ports:
    """The ports of the blocks of a grid."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._graph = grid.graph
        rails = find_rails(grid.graph)
        self._steps = {pair for start, path in rails.items() for pair in zip([start, *path], path, strict=False)}
        self._through = {before: after for before, after in self._states() if self._is_through(before, after)}
        self._steps |= set(self._through.items())
        self._ends = {path[-1] for path in rails.values()} | set(self._through.values())
        self._states_on_rails = {*rails, *self._through}

    def _states(self) -> list[tuple[int, int]]:
        inputs = {block.name: block.node for block in self._grid.blocks if block.shape is Shape.START}
        return [(inputs[before], self._graph.names[after]) for before, after in self._graph.states.items()]

    def _is_through(self, before: int, after: int) -> bool:
        """True if a state runs straight through the only layer, which adds nothing else to it."""
        in_row = [node for node, (_, row) in self._grid.placement.cells.items() if row == 0]
        return in_row == [after] and before in self._graph.nodes[after].inputs and not self._graph.nodes[after].added

    def is_rail(self, source: int, sink: int) -> bool:
        """True if a wire between two blocks is part of a rail, which runs straight."""
        blocks = self._grid.blocks
        one, other = blocks[source], blocks[sink]
        if other.shape is Shape.END:
            return other.name in self._graph.states.values() and one.node in self._ends
        return (one.node, other.node) in self._steps and other.shape is not Shape.JOIN

    def starts(self, source: int, taken: Taken) -> list[Port]:
        """The ports where the wire of a block may start."""
        block = self._grid.blocks[source]
        if block.shape is Shape.START:
            return self._entries(block, taken)
        if block.shape is Shape.JOIN or block.node in self._rail_nodes():
            return self._beside(block, Side.EAST, 0.0, set())
        if block.shape is Shape.BOX:
            return [Port(block.point, Side.NORTH), *self._beside(block, Side.EAST, 20.0, taken)]
        free = [side for side in Side if (block.point, side) not in taken]
        return [Port(block.point, side, _OUT[side] + cost) for side, cost in self._straight(block, free)]

    def is_on_rail(self, node: int) -> bool:
        """True if a rail passes through a node."""
        return node in self._rail_nodes()

    def _rail_nodes(self) -> set[int]:
        return {
            source for source, _ in self._steps if self._graph.nodes[source].type is not NodeType.INPUT
        } | self._ends

    def ends(self, source: int, sink: Sink, taken: Taken) -> list[Port]:
        """The ports where a wire from one block may end at another."""
        block = self._grid.blocks[sink.block]
        if block.shape is Shape.END:
            return self._exits(block, source, taken)
        if self.is_rail(source, sink.block) and sink.occurrence == 0:
            return self._beside(block, Side.WEST, 0.0, taken)
        if block.shape is Shape.JOIN:
            sides = [side for side in (Side.WEST, Side.SOUTH, Side.NORTH) if (block.point, side) not in taken]
            return [Port(block.point, side) for side in sides]
        if block.shape is Shape.BOX:
            return self._into_box(block, sink.mark, taken)
        return self._into_operation(block, source, taken)

    def _into_operation(self, block: Block, source: int, taken: Taken) -> list[Port]:
        free = [side for side in Side if (block.point, side) not in taken]
        if block.node in self._rail_nodes():
            free = [side for side in free if side not in (Side.EAST, Side.WEST)]
        kept = self._kept_sides(block, source)
        return [
            Port(block.point, side, cost + _ASKEW * (side in kept) + _BACKWARDS * (side is Side.EAST))
            for side, cost in self._straight(block, free)
        ]

    def _kept_sides(self, block: Block, source: int) -> set[Side]:
        """The sides of an operation on which its neighbors in the same column are, other than the source."""
        cells = self._grid.placement.cells
        column, row = cells[block.node]
        others = {*self._graph.users_of(block.node), *self._graph.nodes[block.node].sources}
        others -= {self._grid.blocks[source].node}
        rows = [cells[other][1] for other in others if other in cells and cells[other][0] == column]
        return {Side.NORTH if other > row else Side.SOUTH for other in rows}

    def _straight(self, block: Block, free: list[Side]) -> list[tuple[Side, float]]:
        """The free sides with their costs: a signal runs straight through a function, in line with its neighbors."""
        if self._graph.nodes[block.node].type is not NodeType.FUNCTION:
            return [(side, 0.0) for side in free]
        touched = [side for side in Side if side not in free]
        sides = [touched[0].opposite] if touched else free
        return [(side, _ASKEW if self._is_upright(block) and side % 2 else 0.0) for side in sides]

    def _is_upright(self, block: Block) -> bool:
        """True if the source or a user of a function is in the same column."""
        cells = self._grid.placement.cells
        others = [*self._graph.users_of(block.node), *self._graph.nodes[block.node].sources]
        return any(cells[other][0] == cells[block.node][0] for other in others if other in cells)

    def _into_box(self, block: Block, mark: Mark, taken: Taken) -> list[Port]:
        cost = 0.0 if mark is Mark.ADDED else _INTO_SIDE
        beside = [port for side in (Side.WEST, Side.EAST) for port in self._beside(block, side, cost, taken)]
        if mark is Mark.ADDED:
            return beside
        x, y = block.point
        below = {-1: (x - 1, y), 0: (x, y), 1: (x + 1, y)}
        used = {at for at, point in below.items() if (point, Side.SOUTH) in taken}
        return [*(Port(below[at], Side.SOUTH) for at in _FREE_BELOW[frozenset(used)]), *beside]

    @staticmethod
    def _beside(block: Block, side: Side, cost: float, taken: Taken) -> list[Port]:
        x, y = block.point
        point = (x + side.step[0], y) if block.shape is Shape.BOX else block.point
        return [] if (point, side) in taken else [Port(point, side, cost)]

    def _entries(self, block: Block, taken: Taken) -> list[Port]:
        """The ports where a signal enters the cell: on its rail, from the left below the layers, or from below."""
        line = self._line_of(block.node)
        if line is not None:
            return [Port((0, line), Side.EAST)]
        if is_past(block.name):
            free = [line for line in self._grid.bus_lines if ((0, line), Side.EAST) not in taken]
            return [Port((0, line), Side.EAST, 3.0 * at) for at, line in enumerate(free)]
        bottom = len(self._grid.y_kinds) - 1
        others = [x for (x, y), side in taken if y == bottom and side is Side.NORTH]
        lines = range(self._first(), len(self._grid.x_kinds) - 1)
        return [Port((x, bottom), Side.NORTH) for x in lines if all(abs(x - other) > _APART for other in others)]

    def _first(self) -> int:
        return self._grid.join_lines[0] if self._grid.join_lines else 1

    def _line_of(self, node: int) -> int | None:
        """The line of a state that runs straight through the cell; None if it does not."""
        line = self._grid.rail_line(node)
        return self._grid.row_line(0) if line is None and node in self._through else line

    def _exits(self, block: Block, source: int, taken: Taken) -> list[Port]:
        right = len(self._grid.x_kinds) - 1
        if self.is_rail(source, self._grid.end_blocks[block.name]):
            return [Port((right, self._grid.blocks[source].point[1]), Side.WEST)]
        wanted = self._line_in(block)
        lines = self._lines_out(taken, right)
        return [Port((right, line), Side.WEST, 0.0 if line == wanted else _OTHER_LINE) for line in lines]

    def _lines_out(self, taken: Taken, right: int) -> list[int]:
        rails = {self._line_of(state) for state in self._states_on_rails}
        lines = [*(self._grid.row_line(row) for row in self._grid.rows), *self._grid.bus_lines[:2]]
        return [line for line in lines if line not in rails and ((right, line), Side.WEST) not in taken]

    def _line_in(self, block: Block) -> int | None:
        """The line on which the state that leaves here entered."""
        before = [name for name, after in self._graph.states.items() if after == block.name]
        starts = [each for each in self._grid.blocks if each.shape is Shape.START and each.name in before]
        return starts[0].point[1] if starts else None


_FREE_BELOW: dict[frozenset[int], tuple[int, ...]] = {
    frozenset(): (0,),
    frozenset({0}): (-1, 1),
    frozenset({-1}): (1,),
    frozenset({1}): (-1,),
    frozenset({-1, 1}): (0,),
    frozenset({-1, 0}): (1,),
    frozenset({0, 1}): (-1,),
    frozenset({-1, 0, 1}): (),
}
