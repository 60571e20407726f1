"""Where the nodes of a graph stand, in columns and rows: layers in row 0, operations above, rails above those.

A column is made for each layer, in the order in which the rails need them. An operation stands above one of the layers
that it comes from, as low as what is there already allows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from rnnkit.kind_page.drawing.flow import rails_of
from rnnkit.kind_page.drawing.graph import Graph, Sort

Cell = tuple[float, int]
"""A column and a row, counted upwards."""

_MOST_ROWS = 9
_LAYERS = {Sort.GATE, Sort.LINEAR, Sort.CONSTANT}


@dataclass
class Places:
    """Where nodes stand.

    Attributes:
        cells: of each node that is no input.
        rails: from the input of a state to the row of its rail.
    """

    cells: dict[int, Cell] = field(default_factory=dict)
    rails: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Way:
    """How a signal comes to an operation: the cells on its way, from which side, and what stands on it."""

    source: int
    cells: tuple[Cell, ...]
    side: str
    inline: tuple[int, ...]
    room: bool
    row: int


def places_of(graph: Graph) -> Places:
    """A place for every node that is no input."""
    return _Placing(graph).places()


class _Placing:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._rails = rails_of(graph)
        self._before = {node: ([*path][at - 1] if at else start) for start, path in self._rails.items() for at, node in enumerate(path)}
        self._rail_of = {node: start for start, path in self._rails.items() for node in path}
        self._cells: dict[int, Cell] = {}
        self._taken: defaultdict[Cell, set[int]] = defaultdict(set)  # by which signals
        self._waiting: set[int] = set()  # functions that will stand on the way to what takes them
        self._high: list[int] = []
        self._turns: defaultdict[int, set[int]] = defaultdict(set)  # the rows in which a signal goes to the side
        self._next = 0

    def places(self) -> Places:
        for path in self._rails.values():
            self._place(path[-1])
        for node in range(len(self._graph.nodes)):
            self._place(node)
        for node in sorted(self._waiting):
            self._place_alone(node)
        return self._finished()

    def _finished(self) -> Places:
        for node in self._high:
            self._raise(node)
        top = max((row for node, (_, row) in self._cells.items() if node not in self._rail_of), default=0)
        rows = {start: top + len(self._rails) - at for at, start in enumerate(self._rails)}
        cells = {
            node: (column, rows[self._rail_of[node]]) if node in self._rail_of else (column, row)
            for node, (column, row) in self._cells.items()
        }
        return Places(cells, rows)

    def _raise(self, node: int) -> None:
        """Put a function that stands below a rail above where its signal goes elsewhere."""
        column, low = self._cells[node]
        (end,) = self._ends_of(self._graph.nodes[node].sources[0])
        row = max([low, *(each + 1 for each in self._turns[end])])
        while (column, row) in [cell for other, cell in self._cells.items() if other != node]:
            row += 1
        self._cells[node] = (column, row)

    def _place(self, node: int) -> None:
        if node in self._cells or node in self._waiting or self._graph.nodes[node].sort is Sort.INPUT:
            return
        if node in self._rail_of:
            self._place_on_rail(node)
        elif self._graph.nodes[node].sort in _LAYERS:
            self._place_layer(node)
        elif len(self._graph.nodes[node].sources) == 1:
            self._place_function(node)
        else:
            self._place_operation(node)

    def _place_layer(self, node: int) -> None:
        for source in self._graph.nodes[node].sources:
            self._place(source)
            self._place_alone(source)
        self._put(node, (self._new_column(), 0))

    def _place_function(self, node: int) -> None:
        """Above what it is of, if that has just been placed; else it waits for what takes it."""
        (source,) = self._graph.nodes[node].sources
        is_new = source not in self._cells
        self._place(source)
        users = self._graph.users_of(source)
        is_below = is_new and source in self._cells and source not in self._rail_of and len(users) == 1
        if is_below and self._is_open_above(self._cells[source]):
            column, row = self._cells[source]
            self._put(node, (column, row + 1))
        else:
            self._waiting.add(node)

    def _place_alone(self, node: int) -> None:
        """A function that still waits, where nothing else could stand."""
        if node in self._waiting:
            self._waiting.discard(node)
            for source in self._graph.nodes[node].sources:
                self._place_alone(source)
            self._put(node, (self._new_column(), 1))

    def _place_operation(self, node: int) -> None:
        for source in self._graph.nodes[node].sources:
            self._place(source)
        columns = [self._cells[each][0] for each in self._graph.nodes[node].sources if each in self._cells]
        columns = [*columns, *(self._cells[end][0] for end in self._ends(node) if end in self._cells)]
        options = [(column, row) for column in [*dict.fromkeys(columns), self._next] for row in range(1, _MOST_ROWS)]
        best = min(options, key=lambda cell: self._cost(node, cell))
        self._next = max(self._next, int(best[0]) + 1)
        for way in self._ways(node, best):
            self._lay(way)
        self._put(node, best)

    def _place_on_rail(self, node: int) -> None:
        before = self._before[node]
        self._place(before)
        others = [source for source in self._graph.nodes[node].sources if source != before]
        for other in others:
            self._place(other)
        least = self._cells[before][0] if before in self._cells else -1
        columns = [self._cells[end][0] for other in others for end in self._ends_of(other) if end in self._cells]
        columns = [column for column in columns if column > least and not self._is_rail_taken(column)]
        columns = [column for column in columns if not self._has_rail_above(column)]
        column = columns[-1] if columns else self._new_column()
        for other in others:
            self._lead_up(other, column)
        self._cells[node] = (column, _MOST_ROWS)

    def _is_rail_taken(self, column: float) -> bool:
        return any(self._cells[node][0] == column for node in self._rail_of if node in self._cells)

    def _has_rail_above(self, column: float) -> bool:
        """Whether the signal of a rail comes down there."""
        cells = self._vertical(column, 1, _MOST_ROWS)
        return any(self._taken[cell] & (self._rails.keys() | self._rail_of.keys()) for cell in cells)

    def _lead_up(self, source: int, column: float) -> None:
        """Take the cells from a signal up to a rail, and put there what waits for that."""
        inline = self._inline(source)
        end = self._ends_of(source)[0]
        start = self._cells[end] if end in self._cells and end not in self._rail_of else (column, 0)
        self._take(end, self._vertical(column, start[1] + 1, _MOST_ROWS))
        for at, waiting in enumerate(reversed(inline)):
            self._waiting.discard(waiting)
            self._cells[waiting] = (column, start[1] + 1 + at)
            self._high.append(waiting)

    def _ends(self, node: int) -> list[int]:
        return [end for source in self._graph.nodes[node].sources for end in self._ends_of(source)]

    def _ends_of(self, source: int) -> list[int]:
        """What a signal comes from before the functions that wait."""
        while source in self._waiting:
            (source,) = self._graph.nodes[source].sources
        return [source]

    def _inline(self, source: int) -> tuple[int, ...]:
        """The functions that wait before a signal, the last first."""
        found: list[int] = []
        while source in self._waiting:
            found.append(source)
            (source,) = self._graph.nodes[source].sources
        return tuple(found)

    def _cost(self, node: int, cell: Cell) -> tuple[float, float, int]:
        ways = self._ways(node, cell)
        sides = [way.side for way in ways]
        column, row = cell
        cost = 60.0 * (len(sides) - len(set(sides))) + 200.0 * bool(self._taken[cell]) + 2.5 * row
        cost += 8.0 * sides.count("right") + 4.0 * (column == self._next) + 100 * sum(not way.room for way in ways)
        for way in ways:
            cost += len(way.cells) + sum(self._price(each, way.source) for each in way.cells)
        if self._leads_up(node):
            cost += sum(self._price(each, node) for each in self._vertical(column, row + 1, _MOST_ROWS))
        return cost, -column, row

    def _leads_up(self, node: int) -> bool:
        """Whether a rail takes the signal, or a function of it."""
        users = self._graph.users_of(node)
        functions = [user for user in users if self._graph.nodes[user].sort is Sort.FUNCTION]
        return any(user in self._rail_of or (user in functions and self._leads_up(user)) for user in users)

    def _price(self, cell: Cell, source: int) -> float:
        """Of going through a cell: where a node stands, or another signal goes."""
        others = self._taken[cell] - {source}
        return 50.0 if any(self._cells.get(other) == cell for other in self._cells) else 12.0 * len(others)

    def _ways(self, node: int, cell: Cell) -> list[_Way]:
        ways: list[_Way] = []
        for source in self._graph.nodes[node].sources:
            way = self._way(source, cell)
            if way.side in [each.side for each in ways]:
                way = self._way(source, cell, low=True)
            ways.append(way)
        return ways

    def _way(self, source: int, cell: Cell, *, low: bool = False) -> _Way:
        """From where a signal is to a cell: up and then along its row, or along the row below."""
        column, row = cell
        inline = self._inline(source)
        (end,) = self._ends_of(source)
        if end in self._rail_of or end in self._rails:
            cells = self._vertical(column, row + 1, _MOST_ROWS)
            return _Way(end, tuple(cells), "top", inline, room=True, row=row)
        if end not in self._cells:
            return _Way(end, tuple(self._vertical(column, 0, row)), "bottom", inline, room=row > len(inline), row=row)
        start, height = self._cells[end]
        if start == column:
            between = self._vertical(column, height + 1, row)
            return _Way(end, tuple(between), "bottom", inline, room=len(between) >= len(inline), row=row)
        along = row - 1 if low else row
        cells = [*self._vertical(start, min(height + 1, along), max(height, along + 1)), *self._row(start, column, along)]
        side = "bottom" if low else "left" if start < column else "right"
        return _Way(end, tuple(dict.fromkeys(cells)), side, inline, room=not low or not inline, row=row)

    def _lay(self, way: _Way) -> None:
        self._take(way.source, way.cells)
        if way.side in ("left", "right"):
            self._turns[way.source].add(way.row)
        cells = list(way.cells)
        for waiting in way.inline:
            self._waiting.discard(waiting)
            self._put(waiting, self._cell_for(waiting, way, cells))

    def _cell_for(self, waiting: int, way: _Way, cells: list[Cell]) -> Cell:
        """Where a function stands on the way: next to its end, in a column of its own where that is full."""
        if way.side == "top":
            return cells.pop(0)
        if way.side == "bottom":
            return cells.pop()
        column, row = cells.pop()
        occupied = any(other == (column, row) for other in self._cells.values())
        start = self._cells[way.source][0]
        if column == start or occupied:
            return (column + (0.5 if start <= column else -0.5), row)
        return (column, row)

    def _put(self, node: int, cell: Cell) -> None:
        while cell in self._cells.values():
            cell = (cell[0] + 0.25, cell[1])
        self._cells[node] = cell
        self._taken[cell].add(node)

    def _take(self, source: int, cells: Iterator[Cell] | tuple[Cell, ...] | list[Cell]) -> None:
        for cell in cells:
            self._taken[cell].add(source)

    def _is_open_above(self, cell: Cell) -> bool:
        return not any(self._taken[above] for above in self._vertical(cell[0], cell[1] + 1, _MOST_ROWS))

    def _new_column(self) -> int:
        self._next += 1
        return self._next - 1

    @staticmethod
    def _vertical(column: float, first: int, end: int) -> list[Cell]:
        return [(column, row) for row in range(first, end)]

    def _row(self, start: float, end: float, row: int) -> list[Cell]:
        """The cells between two columns, from the start on, in columns that exist."""
        low, high = min(start, end), max(start, end)
        between = [float(each) for each in range(int(low), int(high) + 1) if low <= each < high or (start > end and low < each <= high)]
        columns = [each for each in between if each != end]
        return [(each, row) for each in (columns if start < end else reversed(columns))]
