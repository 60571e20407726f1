"""Where the nodes of a graph stand, in columns and rows: layers in row 0, operations above, rails above those.

A column is made for each layer, in the order in which the rails need them. An operation stands above one of the layers
that it comes from, as low as what is there already allows.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from rnnkit.kind_page.drawing.cells import MOST_ROWS, Cell, Cells, above, level, upright
from rnnkit.kind_page.drawing.flow import rails_of
from rnnkit.kind_page.drawing.graph import Graph, Sort

_LAYERS = {Sort.GATE, Sort.LINEAR, Sort.CONSTANT}
# What speaks against a cell for an operation
_SAME_SIDE, _OCCUPIED, _NO_ROOM = 60.0, 200.0, 100.0
_BACKWARDS, _NEW_COLUMN, _HIGHER = 8.0, 4.0, 2.5


class Places(NamedTuple):
    """Where nodes stand.

    Attributes:
        cells: of each node that is no input.
        rails: from the input of a state to the row of its rail.
    """

    cells: dict[int, Cell]
    rails: dict[int, int]


class _Way(NamedTuple):
    """How a signal comes to an operation.

    Attributes:
        source: of which node.
        to: the cell of the operation.
        cells: on the way.
        side: from which it comes.
        inline: the functions that stand on it, the last first.
    """

    source: int
    to: Cell
    cells: tuple[Cell, ...]
    side: str
    inline: tuple[int, ...]

    @property
    def has_room(self) -> bool:
        """Whether these have a cell each, or come from beside, where a column is made for them."""
        return self.side in ("left", "right", "top") or len(self.cells) >= len(self.inline)


def places_of(graph: Graph) -> Places:
    """A place for every node that is no input."""
    return _Placing(graph).places()


class _Placing:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._rails = rails_of(graph)
        self._before = {
            node: one for start, path in self._rails.items() for one, node in zip([start, *path], path, strict=False)
        }
        self._rail_of = {node: start for start, path in self._rails.items() for node in path}
        self._cells = Cells()
        self._at = self._cells.places
        self._waiting: set[int] = set()  # functions that will stand on the way to what takes them
        self._below_rail: list[int] = []
        self._turns: defaultdict[int, set[int]] = defaultdict(set)  # the rows in which a signal goes to the side
        self._next = 0

    def places(self) -> Places:
        for path in self._rails.values():
            self._place(path[-1])
        for node in range(len(self._graph.nodes)):
            self._place(node)
        for node in sorted(self._waiting):
            self._place_alone(node)
        for node in self._below_rail:
            self._raise(node)
        return self._with_rails()

    def _with_rails(self) -> Places:
        """The places, with each rail in a row of its own above all else."""
        top = max((row for node, (_, row) in self._at.items() if node not in self._rail_of), default=0)
        rows = {start: top + len(self._rails) - at for at, start in enumerate(self._rails)}
        on_rails = {node: (self._at[node][0], rows[start]) for node, start in self._rail_of.items()}
        return Places({**self._at, **on_rails}, rows)

    def _raise(self, node: int) -> None:
        """Put a function that stands below a rail above where its signal goes elsewhere."""
        column, row = self._at.pop(node)
        row = max([row, *(turn + 1 for turn in self._turns[self._end(self._sources(node)[0])])])
        while (column, row) in self._at.values():
            row += 1
        self._at[node] = (column, row)

    def _sources(self, node: int) -> tuple[int, ...]:
        return self._graph.nodes[node].sources

    def _place(self, node: int) -> None:
        if node in self._at or node in self._waiting or self._graph.nodes[node].sort is Sort.INPUT:
            return
        if node in self._rail_of:
            self._place_on_rail(node)
        elif self._graph.nodes[node].sort in _LAYERS:
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
        """Above what it is of, if that has just been placed; else it waits for what takes it."""
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
        """A function that still waits, where nothing else could stand."""
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
        for way in self._ways(node, best):
            self._lay(way)
        self._cells.put(node, best)

    def _place_on_rail(self, node: int) -> None:
        """To the right of what is before it on its rail, above what comes from below if that can be."""
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
        """Whether neither a node stands on a rail there, nor the signal of one comes down."""
        on_rails = {*self._rails, *self._rail_of}
        comes_down = any(self._cells.has_signal_of(on_rails, cell) for cell in above((column, 0)))
        return not comes_down and all(self._at[node][0] != column for node in self._rail_of if node in self._at)

    def _lead_up(self, source: int, column: float) -> None:
        """Take the cells from a signal up to a rail, and put there what waits for that."""
        end = self._end(source)
        row = self._at[end][1] if end in self._at and end not in self._rail_of else 0
        self._cells.take(end, above((column, row)))
        for at, waiting in enumerate(reversed(self._inline(source))):
            self._waiting.discard(waiting)
            self._at[waiting] = (column, row + 1 + at)
            self._below_rail.append(waiting)

    def _end(self, source: int) -> int:
        """What a signal comes from before the functions that wait."""
        while source in self._waiting:
            (source,) = self._sources(source)
        return source

    def _inline(self, source: int) -> tuple[int, ...]:
        """The functions that wait before a signal, the last first."""
        found: list[int] = []
        while source in self._waiting:
            found.append(source)
            (source,) = self._sources(source)
        return tuple(found)

    def _cost(self, node: int, cell: Cell) -> tuple[float, float, int]:
        """What speaks against a cell; among equals, the one to the right and below is best."""
        ways = self._ways(node, cell)
        sides = [way.side for way in ways]
        cost = _SAME_SIDE * (len(sides) - len(set(sides))) + _OCCUPIED * (not self._cells.is_free(cell))
        cost += _BACKWARDS * sides.count("right") + _NEW_COLUMN * (cell[0] == self._next) + _HIGHER * cell[1]
        cost += _NO_ROOM * sum(not way.has_room for way in ways)
        cost += sum(1 + self._cells.price(each, way.source) for way in ways for each in way.cells)
        if self._leads_up(node):
            cost += sum(self._cells.price(each, node) for each in above(cell))
        return cost, -cell[0], cell[1]

    def _leads_up(self, node: int) -> bool:
        """Whether a rail takes the signal, or a function of it."""
        users = self._graph.users_of(node)
        functions = [user for user in users if self._graph.nodes[user].sort is Sort.FUNCTION]
        return any(user in self._rail_of for user in users) or any(map(self._leads_up, functions))

    def _ways(self, node: int, cell: Cell) -> list[_Way]:
        ways: list[_Way] = []
        for source in self._sources(node):
            way = self._way(source, cell)
            if way.side in [each.side for each in ways]:
                way = self._way(source, cell, low=True)
            ways.append(way)
        return ways

    def _way(self, source: int, cell: Cell, *, low: bool = False) -> _Way:
        """From where a signal is to a cell."""
        end, inline = self._end(source), self._inline(source)
        if end in self._rail_of or end in self._rails:
            return _Way(end, cell, tuple(above(cell)), "top", inline)
        if end not in self._at:
            return _Way(end, cell, tuple(upright(cell[0], 0, cell[1])), "bottom", inline)
        column, row = self._at[end]
        if column == cell[0]:
            return _Way(end, cell, tuple(upright(column, row + 1, cell[1])), "bottom", inline)
        return self._way_aside(end, cell, inline, cell[1] - 1 if low else cell[1])

    def _way_aside(self, end: int, cell: Cell, inline: tuple[int, ...], row: int) -> _Way:
        """Up, and then along the row of the operation, or along one below it."""
        column, start = self._at[end]
        cells = [*upright(column, min(start + 1, row), max(start, row + 1)), *level(column, cell[0], row)]
        side = "left" if column < cell[0] else "right"
        return _Way(end, cell, tuple(dict.fromkeys(cells)), "bottom" if row < cell[1] else side, inline)

    def _lay(self, way: _Way) -> None:
        self._cells.take(way.source, way.cells)
        if way.side in ("left", "right"):
            self._turns[way.source].add(way.to[1])
        free = list(way.cells)
        for waiting in way.inline:
            self._waiting.discard(waiting)
            self._cells.put(waiting, self._cell_on(way, free))

    def _cell_on(self, way: _Way, free: list[Cell]) -> Cell:
        """The last free cell of a way, for a function on it; in a column of its own, where there is none."""
        if not free:
            return (way.to[0] - 0.5, way.to[1])
        column, row = free.pop(0 if way.side == "top" else -1)
        is_beside = way.side in ("left", "right")
        if is_beside and (column == self._at[way.source][0] or (column, row) in self._at.values()):
            return (column + (0.5 if way.side == "left" else -0.5), row)
        return (column, row)

    def _new_column(self) -> int:
        self._next += 1
        return self._next - 1
