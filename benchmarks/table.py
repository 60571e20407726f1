"""Print the figures as tables for a terminal of 120 columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.by_hand import COUNTERPARTS, LOOP
from benchmarks.figures import Figure
from benchmarks.shapes import SHAPES

MODELS = ("forward", "training", "memory")
ONCE = ("import", "command", "build", "list_kinds", "first build", "save", "load")
NOTES = (
    "÷ nn, ÷ loop: time of rnnkit divided by that of the counterpart; below 1, rnnkit is faster. ✗ misses its target.",
    "nn: the module of torch.nn and a Linear on its last step; for mixed, LSTM and GRU; for mgu, torchrecurrent.MGU.",
    "loop: torch's cells in a handwritten loop. CPU time on 1 thread, wall-clock time on 2; ~ disturbed measurement.",
    "memory: growth of the peak resident set in training, on 1 thread.",
)
RULE = "│"


class Lookup:
    """Find figures by operation, kind, shape and counterpart."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self.figures = {(f.what, f.kind, f.shape, f.against, f.threads): f for f in figures}

    def module(self, what: str, kind: str, shape: str, threads: int = 1) -> Figure | None:
        """Return the figure for the counterpart that is not the loop."""
        others = [name for name in COUNTERPARTS.get(kind, ()) if name != LOOP]
        return self.figures.get((what, kind, shape, others[0], threads)) if others else None

    def loop(self, what: str, kind: str, shape: str) -> Figure | None:
        return self.figures.get((what, kind, shape, LOOP, 1))


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the tables."""
    of_models = [figure for figure in figures if figure.what in MODELS]
    of_start = [figure for figure in figures if figure.what in ONCE]
    if of_models:
        console.print(_table_of_models(of_models))
        for note in NOTES:
            console.print(note, style="dim", highlight=False)
        for name, shape in SHAPES.items():
            console.print(f"{name:>6}: {shape}", style="dim", highlight=False)
    if of_start:
        console.print(_table_of_start(of_start))


def _table_of_models(figures: Sequence[Figure]) -> Table:
    table = _new_table("rnnkit compared with handwritten models", ("\n\nkind", "\n\nshape"))
    lookup = Lookup(figures)
    groups = [group for group in GROUPS if any(group.holds(figure) for figure in figures)]
    for group in groups:
        _add_columns(table, RULE, *group.headings)
    shapes = [name for name in SHAPES if any(figure.shape == name for figure in figures)]
    for kind in [name for name in COUNTERPARTS if any(figure.kind == name for figure in figures)]:
        for shape in shapes:
            cells = [cell for group in groups for cell in (RULE, *group.cells(lookup, kind, shape))]
            table.add_row(kind if shape == shapes[0] else "", shape, *cells, end_section=shape == shapes[-1])
    return table


def _new_table(title: str, names: Sequence[str]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True)
    return table


def _add_columns(table: Table, *headings: str) -> None:
    for heading in headings:
        column = "\n".join([RULE] * 3) if heading == RULE else heading
        table.add_column(column, justify="right", no_wrap=True, style="dim" if heading == RULE else None)


class Group(NamedTuple):
    """A group of columns."""

    headings: tuple[str, ...]
    holds: Callable[[Figure], bool]
    cells: Callable[[Lookup, str, str], Sequence[str]]


def _speed(what: str) -> Group:
    def cells(lookup: Lookup, kind: str, shape: str) -> Sequence[str]:
        return *_measured(lookup.module(what, kind, shape)), _ratio(lookup.loop(what, kind, shape))

    headings = (f"{what}\n1 thread\nms", "\n\n÷ nn", "\n\ntarget", "\n\n÷ loop")
    return Group(headings, lambda figure: figure.what == what and figure.threads == 1, cells)


def _two_threads(lookup: Lookup, kind: str, shape: str) -> Sequence[str]:
    return [_ratio(lookup.module(what, kind, shape, threads=2)) for what in ("forward", "training")]


def _memory(lookup: Lookup, kind: str, shape: str) -> Sequence[str]:
    return _measured(lookup.module("memory", kind, shape))


def _measured(figure: Figure | None) -> tuple[str, str, str]:
    """Return rnnkit's figure, the ratio, and its target."""
    if figure is None:
        return "", "", ""
    return _number(figure.ours), _ratio(figure), _target(figure)


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def _ratio(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.missed:
        return f"[bold red]✗{_rounded(figure)}[/]"
    return _rounded(figure) if figure.steady else f"[dim]~{_rounded(figure)}[/]"


def _rounded(figure: Figure) -> str:
    if figure.ratio >= 10:
        return f"{figure.ratio:.1f}"
    hidden = figure.missed and figure.target is not None and round(figure.ratio, 2) <= figure.target
    return f"{figure.ratio:.3f}" if hidden else f"{figure.ratio:.2f}"


def _target(figure: Figure) -> str:
    return "" if figure.target is None else f"[dim]≤{figure.target:g}[/]"


def _table_of_start(figures: Sequence[Figure]) -> Table:
    table = _new_table("One-time costs", ("what", "kind", "where", "against"))
    _add_columns(table, "CPU, ms", "of the other", "÷", "target")
    for figure in sorted(figures, key=lambda figure: ONCE.index(figure.what)):
        names = (figure.what, figure.kind, figure.shape, figure.against)
        table.add_row(*names, _number(figure.ours), _number(figure.theirs), _ratio(figure), _target(figure))
    return table


GROUPS = (
    _speed("forward"),
    _speed("training"),
    Group(("2 thr.\nforward\n÷ nn", "\ntraining\n÷ nn"), lambda figure: figure.threads == 2, _two_threads),
    Group(("memory\n\nMiB", "\n\n÷ nn", "\n\ntarget"), lambda figure: figure.what == "memory", _memory),
)
