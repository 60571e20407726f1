"""The grid of a drawing: lines for wires, blocks on them, and the wires between blocks.

Lines are numbered from left to right and from top to bottom. Their distances are chosen later, when the lines in use
are known. A `Block` is a node, a join, or the end of a wire at the edge of the cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

from rnnkit_cards.drawing.flow import find_joins
from rnnkit_cards.drawing.graph import Graph, NodeType
from rnnkit_cards.drawing.placement import Placement

Point = tuple[int, int]
"""The numbers of a vertical and a horizontal line."""

NOMINAL = {"center": 24.0, "port": 13.0, "track": 16.0, "edge": 24.0}  # distance before a line during routing


class Side(IntEnum):
    """A side of a block, and its direction."""

    NORTH = 0
    EAST = 1
    SOUTH = 2
    WEST = 3

    @property
    def opposite(self) -> Side:
        return Side((self + 2) % 4)

    @property
    def step(self) -> Point:
        return ((0, -1), (1, 0), (0, 1), (-1, 0))[self]


class Shape(Enum):
    """The shape of a block."""

    BOX = "box"
    CIRCLE = "circle"
    PILL = "pill"
    JOIN = "join"
    START = "start"  # of a signal that enters the cell
    END = "end"  # of a signal that leaves it


class Port(NamedTuple):
    """A point and its side where a wire may start or end, and the cost of that."""

    point: Point
    side: Side
    cost: float = 0.0


@dataclass
class Block:
    """The source or the target of wires.

    Attributes:
        shape: its shape.
        point: its position; set during routing for the end of a wire at the edge of the cell.
        node: number of its node; of the node that leaves the cell for an output; -1: none.
        name: name of the signal, for the end of a wire at the edge of the cell.
    """

    shape: Shape
    point: Point
    node: int = -1
    name: str = ""


class Mark(Enum):
    """How a signal enters a box, if it is not multiplied by a matrix."""

    NONE = "none"
    ADDED = "added"
    ELEMENTWISE = "element-wise"


class Sink(NamedTuple):
    """A target of a wire.

    Attributes:
        block: number of the block.
        mark: how the signal enters the block.
        occurrence: 1 for the second of two wires from one signal to one block, as in a square.
    """

    block: int
    mark: Mark = Mark.NONE
    occurrence: int = 0


@dataclass
class Wire:
    """A wire from a block to other blocks."""

    source: int
    sinks: list[Sink] = field(default_factory=list)

    def lead_to(self, block: int, mark: Mark = Mark.NONE) -> None:
        """Add a target."""
        occurrence = sum(sink[:2] == (block, mark) for sink in self.sinks)
        self.sinks.append(Sink(block, mark, occurrence))


class Grid:
    """The lines, the blocks and the wires between them.

    Args:
        graph: the graph to draw.
        placement: cells of its nodes.
        tracks: number of lines between two columns, and between two rows.
        join_line: line below the layers on which inputs join.
    """

    def __init__(self, graph: Graph, placement: Placement, *, tracks: int, join_line: int) -> None:
        self.graph, self.placement = graph, placement
        self._tracks, self._join_line = tracks, join_line
        self.joins = find_joins(graph)
        self.columns = sorted({column for column, _ in placement.cells.values()})
        self.rows = sorted({*(row for _, row in placement.cells.values()), *placement.rails.values(), 0}, reverse=True)
        self.x_kinds: list[str] = []
        self.y_kinds: list[str] = []
        self._column_line: dict[float, int] = {}
        self._row_line: dict[int, int] = {}
        self._lay_lines()
        self.blocks: list[Block] = []
        self._block_of: dict[int, int] = {}
        self._make_blocks()
        self.wires = self._make_wires()
        self.owner = dict(self._owned())

    def _lay_lines(self) -> None:
        self.x_kinds += ["edge", *["track"] * self._tracks]
        self.join_lines = [self._add_line(self.x_kinds, "track") for _ in self.joins]
        self.x_kinds += ["track"] * self._tracks
        for column in self.columns:
            self.x_kinds.append("port")
            self._column_line[column] = self._add_line(self.x_kinds, "center")
            self.x_kinds += ["port", *["track"] * self._tracks]
        self.x_kinds.append("edge")
        for row in self.rows:
            self._row_line[row] = self._add_line(self.y_kinds, "center")
            self.y_kinds += ["track"] * (self._tracks if row else 0)
        self.bus_lines = [
            self._add_line(self.y_kinds, "track") for _ in range(3 + len(self.joins) + len(self._inputs()))
        ]
        self.y_kinds.append("edge")

    @staticmethod
    def _add_line(kinds: list[str], kind: str) -> int:
        kinds.append(kind)
        return len(kinds) - 1

    def _inputs(self) -> list[int]:
        return [number for number, node in enumerate(self.graph.nodes) if node.type is NodeType.INPUT]

    def _make_blocks(self) -> None:
        for number in self._inputs():
            self._block_of[number] = self._add(Block(Shape.START, (0, 0), number, self.graph.name_of(number)))
        for number, (column, row) in sorted(self.placement.cells.items()):
            point = (self._column_line[column], self._row_line[row])
            self._block_of[number] = self._add(Block(_SHAPES[self.graph.nodes[number].type], point, number))
        self.join_blocks = [
            self._add(Block(Shape.JOIN, (line, self.bus_lines[self._join_line + at])))
            for at, line in enumerate(self.join_lines)
        ]
        self.end_blocks = {
            name: self._add(Block(Shape.END, (0, 0), self.graph.names[name], name)) for name in self.graph.outputs
        }

    def _add(self, block: Block) -> int:
        self.blocks.append(block)
        return len(self.blocks) - 1

    def _make_wires(self) -> list[Wire]:
        wires = {block: Wire(block) for block in self._block_of.values()}
        for number, node in enumerate(self.graph.nodes):
            joined = {source for join in self.joins if number in join.layers for source in join.inputs}
            for source in node.inputs:
                if source not in joined:
                    mark = Mark.ELEMENTWISE if source in node.elementwise else Mark.NONE
                    wires[self._block_of[source]].lead_to(self._block_of[number], mark)
            for source in node.added:
                wires[self._block_of[source]].lead_to(self._block_of[number], Mark.ADDED)
        for join, block in zip(self.joins, self.join_blocks, strict=True):
            for source in join.inputs:
                wires[self._block_of[source]].lead_to(block)
            wires[block] = Wire(block, [Sink(self._block_of[layer]) for layer in join.layers])
        for name, block in self.end_blocks.items():
            wires[self._block_of[self.graph.names[name]]].lead_to(block)
        return [wire for wire in wires.values() if wire.sinks]

    def _owned(self) -> Iterator[tuple[Point, int]]:
        for number, block in enumerate(self.blocks):
            if block.shape not in (Shape.START, Shape.END):
                yield block.point, number
                if block.shape is Shape.BOX:
                    yield (block.point[0] - 1, block.point[1]), number
                    yield (block.point[0] + 1, block.point[1]), number

    def rail_line(self, start: int) -> int | None:
        """The line of the rail that starts at an input node; None if there is none."""
        row = self.placement.rails.get(start)
        return None if row is None else self._row_line[row]

    def row_line(self, row: int) -> int:
        return self._row_line[row]

    def block_of(self, node: int) -> int:
        return self._block_of[node]


_SHAPES = {
    NodeType.GATE: Shape.BOX,
    NodeType.LINEAR: Shape.BOX,
    NodeType.CONSTANT: Shape.BOX,
    NodeType.FUNCTION: Shape.PILL,
    NodeType.COMBINE: Shape.PILL,
    NodeType.MULTIPLY: Shape.CIRCLE,
    NodeType.ADD: Shape.CIRCLE,
}
