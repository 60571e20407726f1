"""Places the nodes of a graph in columns and rows: layers in row 0, operations above them, rails at the top.

Each layer gets a column, in the order in which the rails need them. An operation is placed above one of the layers that
it depends on, as low as the nodes and signals already there allow.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from rnnkit_cards.drawing.cells import MOST_ROWS, Cell, Cells, above, level, upright
from rnnkit_cards.drawing.flow import find_rails
from rnnkit_cards.drawing.graph import Graph, NodeType

_LAYERS = {NodeType.GATE, NodeType.LINEAR, NodeType.CONSTANT}
# Costs of a cell for an operation
_SAME_SIDE, _OCCUPIED, _NO_ROOM = 60.0, 200.0, 100.0
_BACKWARDS, _NEW_COLUMN, _HIGHER = 8.0, 4.0, 2.5


class Placement(NamedTuple):
    """The cells of the nodes.

    Attributes:
        cells: cell of each node that is not an input.
        rails: input node of a state -> row of its rail.
    """

    cells: dict[int, Cell]
    rails: dict[int, int]


class _Approach(NamedTuple):
    """How a signal reaches an operation.

    Attributes:
        source: node of the signal.
        to: cell of the operation.
        cells: cells on the way.
        side: side of the operation at which the signal arrives.
        inline: functions on the way, the last first.
    """

    source: int
    to: Cell
    cells: tuple[Cell, ...]
    side: str
    inline: tuple[int, ...]

    @property
    def has_room(self) -> bool:
        """True if each inline function has a cell, or the signal arrives from a side, where a column can be added."""
        return self.side in ("left", "right", "top") or len(self.cells) >= len(self.inline)


def place_nodes(graph: Graph) -> Placement:
    """Place every node that is not an input."""
    return _Placer(graph).place_all()


class _Placer:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._rails = find_rails(graph)
        self._before = {
            node: one for start, path in self._rails.items() for one, node in zip([start, *path], path, strict=False)
        }
        self._rail_of = {node: start for start, path in self._rails.items() for node in path}
        self._cells = Cells()
        self._at = self._cells.positions
        self._waiting: set[int] = set()  # functions to be placed on the way to the node that uses them
        self._below_rail: list[int] = []
        self._turns: defaultdict[int, set[int]] = defaultdict(set)  # the rows in which a signal turns sideways
        self._next = 0

    def place_all(self) -> Placement:
        for path in self._rails.values():
            self._place(path[-1])
        for node in range(len(self._graph.nodes)):
            self._place(node)
        for node in sorted(self._waiting):
            self._place_alone(node)
        for node in self._below_rail:
            self._raise(node)
        return self._with_rails()

    def _with_rails(self) -> Placement:
        """The placement, with each rail in its own row above all other nodes."""
        top = max((row for node, (_, row) in self._at.items() if node not in self._rail_of), default=0)
        rows = {start: top + len(self._rails) - at for at, start in enumerate(self._rails)}
        on_rails = {node: (self._at[node][0], rows[start]) for node, start in self._rail_of.items()}
        return Placement({**self._at, **on_rails}, rows)

    def _raise(self, node: int) -> None:
        """Move a function below a rail up, above the rows in which its signal turns sideways."""
        column, row = self._at.pop(node)
        row = max([row, *(turn + 1 for turn in self._turns[self._end(self._sources(node)[0])])])
        while (column, row) in self._at.values():
            row += 1
        self._at[node] = (column, row)

    def _sources(self, node: int) -> tuple[int, ...]:
        return self._graph.nodes[node].sources

    def _place(self, node: int) -> None:
        if node in self._at or node in self._waiting or self._graph.nodes[node].type is NodeType.INPUT:
            return
        if node in self._rail_of:
            self._place_on_rail(node)
        elif self._graph.nodes[node].type in _LAYERS:
            self._place_layer(node)
        elif len(self._sources(node)) == 1:
            self._place_function(node)
        else:
            self._place_operation(node)

    def _place_layer(self, node: int) -> None:
        for source in self._sources(node):
            self._place(source)
            self._place_alone(source)
        self._cells.put(node, (self._new_column(), 0))

    def _place_function(self, node: int) -> None:
        """Place a function above its source if that is new and has no other user; else let it wait for its user."""
        (source,) = self._sources(node)
        is_new = source not in self._at
        self._place(source)
        is_last = source in self._at and source not in self._rail_of and len(self._graph.users_of(source)) == 1
        if is_new and is_last and all(self._cells.is_free(cell) for cell in above(self._at[source])):
            column, row = self._at[source]
            self._cells.put(node, (column, row + 1))
        else:
            self._waiting.add(node)

    def _place_alone(self, node: int) -> None:
        """Place a function that still waits in a new column."""
        if node in self._waiting:
            self._waiting.discard(node)
            for source in self._sources(node):
                self._place_alone(source)
            self._cells.put(node, (self._new_column(), 1))

    def _place_operation(self, node: int) -> None:
        for source in self._sources(node):
            self._place(source)
        near = [*self._sources(node), *map(self._end, self._sources(node))]
        columns = dict.fromkeys([*(self._at[each][0] for each in near if each in self._at), self._next])
        options = [(column, row) for column in columns for row in range(1, MOST_ROWS)]
        best = min(options, key=lambda cell: self._cost(node, cell))
        self._next = max(self._next, int(best[0]) + 1)
        for approach in self._approaches(node, best):
            self._lay(approach)
        self._cells.put(node, best)

    def _place_on_rail(self, node: int) -> None:
        """Place a node to the right of its predecessor on the rail, if possible above a signal from below."""
        before = self._before[node]
        self._place(before)
        others = [source for source in self._sources(node) if source != before]
        for other in others:
            self._place(other)
        least = self._at[before][0] if before in self._at else -1
        ends = [end for end in map(self._end, others) if end in self._at]
        columns = [self._at[end][0] for end in ends if self._at[end][0] > least and self._is_open(self._at[end][0])]
        column = columns[-1] if columns else self._new_column()
        for other in others:
            self._lead_up(other, column)
        self._at[node] = (column, MOST_ROWS)

    def _is_open(self, column: float) -> bool:
        """True if a column has neither a node on a rail nor a signal that comes down from one."""
        on_rails = {*self._rails, *self._rail_of}
        comes_down = any(self._cells.has_signal_of(on_rails, cell) for cell in above((column, 0)))
        return not comes_down and all(self._at[node][0] != column for node in self._rail_of if node in self._at)

    def _lead_up(self, source: int, column: float) -> None:
        """Reserve the cells from a signal up to a rail, and place waiting functions there."""
        end = self._end(source)
        row = self._at[end][1] if end in self._at and end not in self._rail_of else 0
        self._cells.take(end, above((column, row)))
        for at, waiting in enumerate(reversed(self._inline(source))):
            self._waiting.discard(waiting)
            self._at[waiting] = (column, row + 1 + at)
            self._below_rail.append(waiting)

    def _end(self, source: int) -> int:
        """The node before the waiting functions of a signal."""
        while source in self._waiting:
            (source,) = self._sources(source)
        return source

    def _inline(self, source: int) -> tuple[int, ...]:
        """The waiting functions of a signal, the last first."""
        found: list[int] = []
        while source in self._waiting:
            found.append(source)
            (source,) = self._sources(source)
        return tuple(found)

    def _cost(self, node: int, cell: Cell) -> tuple[float, float, int]:
        """The cost of a cell for an operation; ties prefer the right, then the bottom."""
        approaches = self._approaches(node, cell)
        sides = [approach.side for approach in approaches]
        cost = _SAME_SIDE * (len(sides) - len(set(sides))) + _OCCUPIED * (not self._cells.is_free(cell))
        cost += _BACKWARDS * sides.count("right") + _NEW_COLUMN * (cell[0] == self._next) + _HIGHER * cell[1]
        cost += _NO_ROOM * sum(not approach.has_room for approach in approaches)
        cost += sum(1 + self._cells.cost(each, approach.source) for approach in approaches for each in approach.cells)
        if self._leads_up(node):
            cost += sum(self._cells.cost(each, node) for each in above(cell))
        return cost, -cell[0], cell[1]

    def _leads_up(self, node: int) -> bool:
        """True if a rail uses the signal, or a function of it."""
        users = self._graph.users_of(node)
        functions = [user for user in users if self._graph.nodes[user].type is NodeType.FUNCTION]
        return any(user in self._rail_of for user in users) or any(map(self._leads_up, functions))

    def _approaches(self, node: int, cell: Cell) -> list[_Approach]:
        approaches: list[_Approach] = []
        for source in self._sources(node):
            approach = self._approach(source, cell)
            if approach.side in [each.side for each in approaches]:
                approach = self._approach(source, cell, low=True)
            approaches.append(approach)
        return approaches

    def _approach(self, source: int, cell: Cell, *, low: bool = False) -> _Approach:
        """The approach of a signal to a cell."""
        end, inline = self._end(source), self._inline(source)
        if end in self._rail_of or end in self._rails:
            return _Approach(end, cell, tuple(above(cell)), "top", inline)
        if end not in self._at:
            return _Approach(end, cell, tuple(upright(cell[0], 0, cell[1])), "bottom", inline)
        column, row = self._at[end]
        if column == cell[0]:
            return _Approach(end, cell, tuple(upright(column, row + 1, cell[1])), "bottom", inline)
        return self._sideways_approach(end, cell, inline, cell[1] - 1 if low else cell[1])

    def _sideways_approach(self, end: int, cell: Cell, inline: tuple[int, ...], row: int) -> _Approach:
        """An approach that goes up, then along the row of the operation or of one below it."""
        column, start = self._at[end]
        cells = [*upright(column, min(start + 1, row), max(start, row + 1)), *level(column, cell[0], row)]
        side = "left" if column < cell[0] else "right"
        return _Approach(end, cell, tuple(dict.fromkeys(cells)), "bottom" if row < cell[1] else side, inline)

    def _lay(self, approach: _Approach) -> None:
        self._cells.take(approach.source, approach.cells)
        if approach.side in ("left", "right"):
            self._turns[approach.source].add(approach.to[1])
        free = list(approach.cells)
        for waiting in approach.inline:
            self._waiting.discard(waiting)
            self._cells.put(waiting, self._cell_on(approach, free))

    def _cell_on(self, approach: _Approach, free: list[Cell]) -> Cell:
        """The last free cell of an approach, for an inline function; half a column to the left if there is none."""
        if not free:
            return (approach.to[0] - 0.5, approach.to[1])
        column, row = free.pop(0 if approach.side == "top" else -1)
        is_beside = approach.side in ("left", "right")
        if is_beside and (column == self._at[approach.source][0] or (column, row) in self._at.values()):
            return (column + (0.5 if approach.side == "left" else -0.5), row)
        return (column, row)

    def _new_column(self) -> int:
        self._next += 1
        return self._next - 1
