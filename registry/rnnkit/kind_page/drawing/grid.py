"""The lines that wires may run along, and what stands on them.

Lines have numbers, from left to right and from top to bottom; how far they are from each other is decided when it is
known which of them are used. What stands at a place is a `Block`: a node, or an end of a wire at the edge of the cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

from rnnkit.kind_page.drawing.flow import joins_of
from rnnkit.kind_page.drawing.graph import Graph, Sort
from rnnkit.kind_page.drawing.places import Places

Point = tuple[int, int]
"""Numbers of a line from top to bottom, and of one from left to right."""

NOMINAL = {"center": 24.0, "port": 13.0, "track": 16.0, "edge": 24.0}  # what lies before a line, while wires are sought


class Side(IntEnum):
    """A side of a block, and the direction in which it lies."""

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
    """What a block looks like."""

    BOX = "box"
    CIRCLE = "circle"
    PILL = "pill"
    JOIN = "join"
    START = "start"  # of a signal that comes into the cell
    END = "end"  # of one that leaves it


class Port(NamedTuple):
    """Where a wire may begin or end: at a point, on this side of it, at a price."""

    point: Point
    side: Side
    price: float = 0.0


@dataclass
class Block:
    """Something that wires lead to or from.

    Attributes:
        shape: what it looks like.
        point: where it stands; of an end at the edge, where its wire turned out to end.
        node: the number of its node; of an output, of the node that leaves; -1: it has none.
        name: of an end at the edge: what leaves or comes in.
    """

    shape: Shape
    point: Point
    node: int = -1
    name: str = ""


class Mark(Enum):
    """What becomes of a signal where it comes into a box, if it is not multiplied by a matrix there."""

    NONE = "none"
    ADDED = "added"
    BY_FEATURE = "by feature"


class Sink(NamedTuple):
    """Where a wire leads to.

    Attributes:
        block: its number.
        mark: what becomes of the signal there.
        turn: 1 for the second of two wires that lead the same signal to the same block, as for its square.
    """

    block: int
    mark: Mark = Mark.NONE
    turn: int = 0


@dataclass
class Wire:
    """A signal: from a block to others."""

    source: int
    sinks: list[Sink] = field(default_factory=list)

    def lead_to(self, block: int, mark: Mark = Mark.NONE) -> None:
        """To one more."""
        turn = sum(sink[:2] == (block, mark) for sink in self.sinks)
        self.sinks.append(Sink(block, mark, turn))


class Grid:
    """The lines, the blocks and the wires between them.

    Args:
        graph: what is drawn.
        places: where its nodes stand.
        tracks: how many lines there are between two columns, and between two rows.
        join_line: on which line below the layers inputs are joined.
    """

    def __init__(self, graph: Graph, places: Places, *, tracks: int, join_line: int) -> None:
        self.graph, self.places = graph, places
        self._tracks, self._join_line = tracks, join_line
        self.joins = joins_of(graph)
        self.columns = sorted({column for column, _ in places.cells.values()})
        self.rows = sorted({*(row for _, row in places.cells.values()), *places.rails.values(), 0}, reverse=True)
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
        return [number for number, node in enumerate(self.graph.nodes) if node.sort is Sort.INPUT]

    def _make_blocks(self) -> None:
        for number in self._inputs():
            self._block_of[number] = self._add(Block(Shape.START, (0, 0), number, self.graph.name_of(number)))
        for number, (column, row) in sorted(self.places.cells.items()):
            point = (self._column_line[column], self._row_line[row])
            self._block_of[number] = self._add(Block(_SHAPES[self.graph.nodes[number].sort], point, number))
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
                    mark = Mark.BY_FEATURE if source in node.by_feature else Mark.NONE
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
        """The line of the rail of a state, given its input; None: it has none."""
        row = self.places.rails.get(start)
        return None if row is None else self._row_line[row]

    def row_line(self, row: int) -> int:
        return self._row_line[row]

    def block_of(self, node: int) -> int:
        return self._block_of[node]


_SHAPES = {
    Sort.GATE: Shape.BOX,
    Sort.LINEAR: Shape.BOX,
    Sort.CONSTANT: Shape.BOX,
    Sort.FUNCTION: Shape.PILL,
    Sort.COMBINE: Shape.PILL,
    Sort.MULTIPLY: Shape.CIRCLE,
    Sort.ADD: Shape.CIRCLE,
}
