"""The figures of a comparison: learning curves, and scores against the time of training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rnnkit._messages import counted, escape_control_chars
from rnnkit.compare.requirements import require
from rnnkit.compare.run import RunResult
from rnnkit.compare.scores import Board, Measure, Scores
from rnnkit.errors import CompareError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Style = Literal["-", "--", ":"]
# Of texts and axes; the values occur nowhere else, so that a report can replace them by the colours of its theme.
INK, MUTED = "#010101", "#6b6b6c"
# The colours of Okabe and Ito, which people with colour blindness distinguish. Their yellow is too light on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
_STYLES: tuple[Style, ...] = ("-", "--")
_LABELS_IN_A_PANEL = 24  # that fit its lowest height
_LOG_MARGIN = 1.25  # of the limits of a logarithmic axis
_GREY = "#9a9a9a"
_COLUMNS = 2  # of panels
_LABEL_LENGTH = 28  # characters
_TITLE_LENGTH = 48
_LOG_RATIO = 20  # of the largest to the smallest error, from which the axis of an error is logarithmic


class Look(NamedTuple):
    """How a label is drawn."""

    color: str
    style: Style
    highlighted: bool


class CurvePoint(NamedTuple):
    """A point of the median curve: the median over seeds of x and score, and the range of the score."""

    x: float
    median: float
    low: float
    high: float


def plot_curves(results: Sequence[RunResult], *, x: Literal["steps", "seconds"] = "steps") -> Figure:
    """Return a figure with a panel of learning curves for each task."""
    if x not in ("steps", "seconds"):
        raise CompareError(f"x={x!r} is not an axis of learning curves: use 'steps' or 'seconds'")
    board = Board(results)
    looks = looks_of(board.labels)
    figure, panels = _panels(board, width=5.0, height=3.4)
    for measure, axes in zip(board.measures, panels, strict=True):
        values = [point.score for each in board.of_measure(measure) for point in each.curve]
        _prepare(axes, measure, board, values, "optimizer steps" if x == "steps" else "seconds of training")
        for label in reversed(board.labels):  # the best on top
            _draw_curve(axes, median_curve(board.scores(label, measure), x=x), looks[label])
    _add_legend(figure, board, looks)
    return figure


def plot_scores(results: Sequence[RunResult]) -> Figure:
    """Return a figure with a panel of scores against seconds of training for each task."""
    board = Board(results)
    looks = looks_of(board.labels)
    figure, panels = _panels(board, width=5.6, height=max(3.6, 0.8 + 0.135 * len(board.labels)))
    for measure, axes in zip(board.measures, panels, strict=True):
        known = {label: scores for label in board.labels if (scores := board.scores(label, measure)).values}
        values = [value for scores in known.values() for value in scores.values]
        _prepare(axes, measure, board, values, _time_axis(board, measure))
        times = {label: _seconds(scores) for label, scores in known.items()}
        if times and min(times.values()) > 0:
            _set_log(axes, "x", [*times.values()])
        for label, scores in known.items():
            _draw_score(axes, times[label], scores, looks[label])
        _place_labels(axes, {label: (times[label], scores.median or 0.0) for label, scores in known.items()}, looks)
    return figure


def median_curve(scores: Scores, *, x: Literal["steps", "seconds"]) -> list[CurvePoint]:
    """Return the median and the range over seeds of a learning curve, where at least half of the seeds have a point.

    Points of the same step belong together; if the training was limited by time, those with the same number do.
    """
    groups: dict[int, list[tuple[float, float]]] = {}
    for result in scores.results:
        by_number = result.training.seconds is not None
        for number, point in enumerate(result.curve):
            at = float(point.step) if x == "steps" else point.seconds
            groups.setdefault(number if by_number else point.step, []).append((at, point.score))
    points = []
    for _, group in sorted(groups.items()):
        if 2 * len(group) >= len(scores.results):
            positions, values = zip(*group, strict=True)
            points.append(CurvePoint(median(positions), median(values), min(values), max(values)))
    return points


def looks_of(labels: Sequence[str]) -> dict[str, Look]:
    """Return how each label is drawn. If there are more than colours and styles, all but the first are grey."""
    colors = len(_COLORS)
    highlighted = len(labels) if len(labels) <= colors * len(_STYLES) else colors
    return {
        label: Look(_COLORS[place % colors], _STYLES[place // colors], highlighted=True)
        if place < highlighted
        else Look(_GREY, "-", highlighted=False)
        for place, label in enumerate(labels)
    }


def _panels(board: Board, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    require("A figure", "matplotlib")
    from matplotlib.figure import Figure

    count = len(board.measures)
    columns = min(_COLUMNS, max(count, 1))
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(width * columns, height * max(rows, 1)), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, place + 1) for place in range(count)]


def _prepare(axes: Axes, measure: Measure, board: Board, values: Sequence[float], x: str) -> None:
    """Set the title, the scale and the names of the axes, and draw chance."""
    axes.set_title(plain(measure.task, _TITLE_LENGTH), fontsize=10, parse_math=False, color=INK)
    better = "higher" if measure.higher_is_better else "lower"
    metric = f"{plain(measure.metric, _LABEL_LENGTH)} ({better} is better)"
    axes.set_ylabel(metric, fontsize=9, parse_math=False, color=INK)
    axes.set_xlabel(x, fontsize=9, parse_math=False, color=INK)
    axes.tick_params(which="both", labelsize=8, color=MUTED, labelcolor=INK)
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(MUTED)
    axes.grid(visible=True, alpha=0.25, linewidth=0.5)
    known = [each.chance for each in board.of_measure(measure) if each.chance is not None]
    chance = [median(known)] if known else []
    if values and not measure.higher_is_better and min(values) > 0 and max(values) / min(values) > _LOG_RATIO:
        _set_log(axes, "y", [*values, *(each for each in chance if each > 0)])
    for each in chance:
        axes.axhline(each, color=_GREY, linestyle=":", linewidth=1)


def _set_log(axes: Axes, which: Literal["x", "y"], values: Sequence[float]) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2 and 5 times the powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    # matplotlib's own limits fail for a single value
    axes.set(**{f"{which}scale": "log", f"{which}lim": (min(values) / _LOG_MARGIN, max(values) * _LOG_MARGIN)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _draw_curve(axes: Axes, points: Sequence[CurvePoint], look: Look) -> None:
    at = [point.x for point in points]
    width, layer = (1.6, 3) if look.highlighted else (0.7, 2)
    style: dict[str, Any] = {"color": look.color, "zorder": layer}
    marker = "o" if len(points) == 1 else None
    axes.plot(at, [each.median for each in points], linestyle=look.style, linewidth=width, marker=marker, **style)
    if look.highlighted:
        low, high = [each.low for each in points], [each.high for each in points]
        axes.fill_between(at, low, high, alpha=0.15, linewidth=0, **style)


def _draw_score(axes: Axes, seconds: float, scores: Scores, look: Look) -> None:
    center, low, high = scores.median or 0.0, scores.values[0], scores.values[-1]
    axes.errorbar(
        [seconds],
        [center],
        yerr=[[center - low], [high - center]],
        fmt="o" if look.style == "-" else "s",
        color=look.color,
        markersize=4.5 if look.highlighted else 3,
        elinewidth=1,
        zorder=3 if look.highlighted else 2,
    )


def _place_labels(axes: Axes, points: Mapping[str, tuple[float, float]], looks: Mapping[str, Look]) -> None:
    """Write the labels in a column beside a panel, from top to bottom as their points, with a line to each point."""
    from matplotlib.collections import LineCollection

    axes.autoscale_view()
    axes.autoscale(enable=False)  # the positions below hold for these limits
    to_axes = axes.transData + axes.transAxes.inverted()
    placed = {label: to_axes.transform(point) for label, point in points.items()}
    ordered = sorted(points, key=lambda label: float(placed[label][1]))
    heights = spread([float(placed[label][1]) for label in ordered], 1 / max(len(ordered), _LABELS_IN_A_PANEL))
    for label, height in zip(ordered, heights, strict=True):
        color = INK if looks[label].highlighted else MUTED
        text = plain(label, _LABEL_LENGTH)
        style: dict[str, Any] = {"fontsize": 7, "verticalalignment": "center", "parse_math": False, "color": color}
        axes.text(1.07, height, text, transform=axes.transAxes, **style)
    lines = [[tuple(placed[label]), (1.06, height)] for label, height in zip(ordered, heights, strict=True)]
    colors = [looks[label].color for label in ordered]
    leaders = LineCollection(lines, colors=colors, linewidths=0.6, alpha=0.6, zorder=1, clip_on=False)
    leaders.set_transform(axes.transAxes)
    axes.add_collection(leaders, autolim=False)


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Return rising positions from 0 to 1, moved as far apart as the gap if there is room."""
    moved: list[float] = []
    for position in positions:
        moved.append(max(position, moved[-1] + gap if moved else 0.0))
    ceiling = 1.0
    for place in reversed(range(len(moved))):
        moved[place] = min(moved[place], ceiling)
        ceiling = moved[place] - gap
    return moved


def _add_legend(figure: Figure, board: Board, looks: Mapping[str, Look]) -> None:
    from matplotlib.lines import Line2D

    shown = [label for label in board.labels if looks[label].highlighted]
    entries: list[tuple[str, str, Style]] = [
        (plain(label, _LABEL_LENGTH), looks[label].color, looks[label].style) for label in shown
    ]
    others = len(board.labels) - len(shown)
    if others:
        entries.append((counted(others, "other"), _GREY, "-"))
    if any(each.chance is not None for measure in board.measures for each in board.of_measure(measure)):
        entries.append(("chance", _GREY, ":"))
    lines = [Line2D([], [], color=color, linestyle=style) for _, color, style in entries]
    # matplotlib leaves out a label that starts with an underscore, and typesets one with dollar signs
    legend = figure.legend(lines, [str(place) for place in range(len(lines))], loc="outside right upper", fontsize=8)
    legend.set_frame_on(False)
    for text, (label, _, _) in zip(legend.get_texts(), entries, strict=True):
        text.set(parse_math=False, color=INK)
        text.set_text(label)


def plain(text: str, length: int) -> str:
    """Return a text on one line, cut to a length."""
    line = " ".join(escape_control_chars(text).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _time_axis(board: Board, measure: Measure) -> str:
    """Return the name of the time axis, with the labels whose runs have no score."""
    every = [(label, board.scores(label, measure)) for label in board.labels]
    missing = [plain(label, _LABEL_LENGTH) for label, scores in every if scores.results and not scores.values]
    return "seconds of training" + (f"\nno score: {plain(', '.join(missing), _TITLE_LENGTH)}" if missing else "")


def _seconds(scores: Scores) -> float:
    return median(each.seconds for each in scores.results if each.score is not None)
