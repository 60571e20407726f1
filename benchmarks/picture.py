"""Draw the ratios: one panel for each shape, with one row for each kind."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.by_hand import COUNTERPARTS, LOOP, TORCH, TORCHRECURRENT
from benchmarks.figures import Figure
from benchmarks.shapes import SHAPES, Shape

RUNS = ("forward", "training")
TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)
FINE_TICKS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
INK, FAINT, GRID, FASTER, MISSED = "#222222", "#555555", "#dddddd", "#eef5ee", "#B00020"
NOTE = "ratios of time on a log scale: CPU time on 1 thread, wall-clock time on 2 threads"


class Mark(NamedTuple):
    """The marker of one counterpart; markers differ in shape as well as in colour."""

    label: str
    color: str
    marker: str
    filled: bool
    offset: float
    """Offset above the middle of the kind's row, in rows."""


# the palette of Okabe and Ito, which is safe for colour-blind readers
MARKS = {
    (TORCH, 1): Mark("torch.nn, 1 thread", "#0072B2", "o", True, 0.25),
    (LOOP, 1): Mark("loop over torch's cells, 1 thread", "#D55E00", "D", True, -0.25),
    (TORCHRECURRENT, 1): Mark("torchrecurrent, 1 thread", "#009E73", "s", True, 0.25),
    (TORCH, 2): Mark("torch.nn, 2 threads", "#0072B2", "o", False, 0.0),
    (TORCHRECURRENT, 2): Mark("torchrecurrent, 2 threads", "#009E73", "s", False, 0.0),
}


def draw(figures: Sequence[Figure], path: Path) -> None:
    """Save a picture with a panel for forward and training at each shape, and one for memory."""
    of_models = [figure for figure in figures if figure.what in (*RUNS, "memory")]
    kinds = [name for name in COUNTERPARTS if any(figure.kind == name for figure in of_models)]
    shapes = [name for name in SHAPES if any(figure.shape == name for figure in of_models)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"font.size": 10, "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK}):
        canvas = Canvas(figsize=(4.2 + 3.3 * len(shapes), 3.2 + 0.85 * len(kinds)), layout="constrained", dpi=120)
        _draw_panels(canvas, of_models, kinds, shapes)
        canvas.savefig(path)


def _draw_panels(canvas: Canvas, figures: Sequence[Figure], kinds: Sequence[str], shapes: Sequence[str]) -> None:
    grid = canvas.add_gridspec(2, len(shapes) + 1)
    limits = _limits([figure.ratio for figure in figures])
    for (row, what), (column, shape) in product(enumerate(RUNS), enumerate(shapes)):
        axes = canvas.add_subplot(grid[row, column])
        _prepare(axes, kinds, limits, f"{what}, {shape}", named=column == 0)
        if row == len(RUNS) - 1:
            axes.set_xlabel(_sizes(SHAPES[shape]), fontsize=9, color=FAINT)
        _draw_figures(axes, kinds, [figure for figure in figures if (figure.what, figure.shape) == (what, shape)])
    _draw_memory(canvas.add_subplot(grid[0, -1]), [figure for figure in figures if figure.what == "memory"])
    _draw_legend(canvas.add_subplot(grid[1, -1]), figures)
    canvas.suptitle("rnnkit ÷ handwritten: left of 1, rnnkit is faster\n", fontsize=15, fontweight="bold")
    canvas.text(0.5, 0.955, NOTE, ha="center", va="top", color=FAINT)


def _sizes(shape: Shape) -> str:
    layers = "layer" if shape.num_layers == 1 else "layers"
    return (
        f"batch {shape.batch}, {shape.time} steps of {shape.input_size}\n"
        f"{shape.num_layers} {layers} of {shape.hidden_size}"
    )


def _limits(ratios: Sequence[float]) -> tuple[float, float]:
    return min([0.7, *ratios]) / 1.12, max([1.4, *ratios]) * 1.12


def _prepare(axes: Axes, rows: Sequence[str], limits: tuple[float, float], title: str, *, named: bool) -> None:
    ticks = TICKS if limits[1] / limits[0] > 2 else FINE_TICKS
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xscale("log")
    axes.set_xlim(limits)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvspan(limits[0], 1, color=FASTER, zorder=0)
    axes.axvline(1, color=INK, linewidth=0.9, zorder=1)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if limits[0] <= tick <= limits[1]]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axes.set_yticks(range(len(rows)), rows if named else [""] * len(rows))
    axes.tick_params(length=0)
    for between in range(len(rows) - 1):
        axes.axhline(between + 0.5, color=GRID, linewidth=0.8, zorder=1)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _draw_figures(axes: Axes, rows: Sequence[str], figures: Sequence[Figure]) -> None:
    for figure in figures:
        middle = rows.index(figure.kind)
        mark = MARKS[figure.against, figure.threads]
        _draw_ratio(axes, figure, middle - mark.offset, mark)
        _draw_target(axes, figure, middle)


def _draw_target(axes: Axes, figure: Figure, middle: int) -> None:
    if figure.target is not None:
        axes.vlines(figure.target, middle - 0.4, middle + 0.4, color=INK, linewidth=2, zorder=2)


def _draw_ratio(axes: Axes, figure: Figure, height: float, mark: Mark) -> None:
    face = mark.color if mark.filled else "white"
    size = 7 if figure.steady else 4
    axes.plot(figure.ratio, height, mark.marker, color=mark.color, markerfacecolor=face, markersize=size, zorder=3)
    if figure.missed:
        axes.plot(figure.ratio, height, "o", color=MISSED, markerfacecolor="none", markersize=14, zorder=4)


def _draw_memory(axes: Axes, figures: Sequence[Figure]) -> None:
    rows = [f"{figure.kind}, {figure.shape}" for figure in figures]
    if not figures:
        axes.axis("off")
        return
    ratios = [figure.ratio for figure in figures]
    _prepare(
        axes, rows, (min([0.85, *ratios]) / 1.03, max([1.15, *ratios]) * 1.03), "peak memory of training", named=True
    )
    for middle, figure in enumerate(figures):
        _draw_ratio(axes, figure, middle, MARKS[figure.against, figure.threads])
        _draw_target(axes, figure, middle)


def _draw_legend(axes: Axes, figures: Sequence[Figure]) -> None:
    axes.axis("off")
    shown = [MARKS[key] for key in MARKS if any((figure.against, figure.threads) == key for figure in figures)]
    handles = [_handle(mark.label, mark.marker, mark.color, mark.color if mark.filled else "white") for mark in shown]
    handles.append(_handle("target: at or left of it", "|", INK, INK, size=15))
    handles.append(_handle("misses its target", "o", MISSED, "none", size=13))
    handles.append(_handle("small: disturbed by other programs", "o", FAINT, "white", size=4))
    axes.legend(handles=handles, loc="center", frameon=False, labelspacing=0.9)


def _handle(label: str, marker: str, color: str, face: str, size: float = 7) -> Line2D:
    return Line2D([], [], linestyle="", label=label, marker=marker, color=color, markerfacecolor=face, markersize=size)
