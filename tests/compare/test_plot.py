"""The figures: what they draw is what the curves and scores say."""

import subprocess
import sys
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex

from rnnkit.compare import Comparison, Point
from rnnkit.compare.plot import looks_of, median_curve, spread
from rnnkit.compare.scores import Scores
from rnnkit.errors import CompareError
from tests.compare.results import HOSTILE, TRAINING, failed, large, result, seeds


def drawn(figure):
    """The curves of each panel, without the line of chance, as `(title, x, y)`."""
    return [
        (axes.get_title(), list(line.get_xdata()), list(line.get_ydata()))
        for axes in figure.axes
        for line in axes.get_lines()
        if line.get_linestyle() != ":" and len(line.get_xdata())
    ]


@pytest.mark.parametrize("x", ["steps", "seconds"])
def test_curves_are_the_medians_of_the_data_frame(x):
    comparison = Comparison(large(3))
    frame = comparison.curves()
    frame["point"] = frame.groupby("key").cumcount()
    column = "step" if x == "steps" else "seconds"
    expected = [
        (task, list(group[column]), list(group["score"]))
        for (task, _), group in frame.groupby(["task", "label", "point"])[[column, "score"]]
        .median()
        .groupby(["task", "label"])
    ]
    found = drawn(comparison.plot(x=x))
    assert len(found) == 9
    for title, at, scores in expected:
        assert any(title == t and np.allclose(at, a) and np.allclose(scores, s) for t, a, s in found)


def test_the_band_is_the_range_over_seeds():
    points = median_curve(Scores(seeds("a", 0.2, 0.9, 0.5)), x="steps")
    assert [point.x for point in points] == [100, 250, 500]
    assert points[-1][1:] == (0.5, 0.2, 0.9)


def test_a_curve_ends_where_most_seeds_have_none():
    long, short = [Point(100, 1, 1, 0.5), Point(200, 2, 1, 0.75)], [Point(100, 1, 1, 0.25)]
    ends = [result(seed=0, curve=long), result(seed=1, curve=short), result(seed=2, curve=short)]
    assert [point.x for point in median_curve(Scores(ends), x="steps")] == [100]


def test_curves_that_are_limited_by_time_are_aligned_by_number():
    timed = replace(TRAINING, seconds=2.0)
    curves = [[Point(90, 1.0, 1, 0.2), Point(200, 2.0, 1, 0.4)], [Point(110, 1.2, 1, 0.4), Point(240, 2.0, 1, 0.8)]]
    results = [result(seed=seed, curve=curve, training=timed) for seed, curve in enumerate(curves)]
    points = median_curve(Scores(results), x="steps")
    assert [point.x for point in points] == [100, 220]
    assert [point.median for point in points] == pytest.approx([0.3, 0.6])


def test_scores_are_drawn_at_median_seconds_with_their_range():
    comparison = Comparison([*seeds("a", 0.2, 0.9, 0.5), *seeds("b", 0.1, 0.3, seconds=7.0)])
    (axes,) = comparison.plot_scores().axes
    points = sorted(
        (line.get_xdata()[0], line.get_ydata()[0]) for line in axes.get_lines() if line.get_linestyle() != ":"
    )
    assert points == [pytest.approx((7.0, 0.2)), pytest.approx((11.0, 0.5))]
    bars = sorted(tuple(bar[:, 1]) for each in axes.collections if each.get_zorder() > 1 for bar in each.get_segments())
    assert bars == [pytest.approx((0.1, 0.3)), pytest.approx((0.2, 0.9))]
    assert axes.get_xscale() == "log"
    assert {each.get_text() for each in axes.texts} == {"a", "b"}


@pytest.mark.parametrize("count", [1, 8, 10, 14, 15, 41])
def test_labels_have_looks_of_their_own(count):
    looks = looks_of([f"k{place}" for place in range(count)])
    colored = [each for each in looks.values() if each.highlighted]
    assert len(set(colored)) == len(colored) == (count if count <= 14 else 7)
    assert len(looks) == count


@pytest.mark.slow
def test_forty_one_labels_are_legible():
    comparison = Comparison(large(41, count=2))
    figure = comparison.plot_scores()
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
        assert len(boxes) == 41
        overlaps = [above.y0 - below.y1 for below, above in pairwise(boxes)]
        assert min(overlaps) > -2  # pixels, of the space around letters
    (legend,) = comparison.plot().legends
    assert "34 others" in [text.get_text() for text in legend.get_texts()]


def test_labels_are_drawn_as_they_are(tmp_path):
    figures = Comparison([result("_private"), result("$x$"), result(HOSTILE), failed("no score")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.plot().savefig(tmp_path / "a.png")
        figures.plot_scores().savefig(tmp_path / "b.svg")
    (legend,) = figures.plot().legends
    assert {"_private", "$x$"} <= {text.get_text() for text in legend.get_texts()}
    assert figures.plot_scores().axes[0].get_xlabel().endswith("no score: no score")


def test_errors_over_orders_of_magnitude_have_a_logarithmic_axis():
    wide = [*seeds("a", 1.0, 0.9, higher_is_better=False), *seeds("b", 0.01, 0.02, higher_is_better=False)]
    assert Comparison(wide).plot_scores().axes[0].get_yscale() == "log"
    assert Comparison(seeds("a", 0.01, 0.9)).plot_scores().axes[0].get_yscale() == "linear"


def test_a_run_without_training_time_has_a_linear_axis():
    assert Comparison(seeds("esn", 0.5, 0.6, seconds=0.0)).plot_scores().axes[0].get_xscale() == "linear"


def test_positions_are_spread():
    moved = spread([0.5, 0.5, 0.5, 0.99], 0.1)
    assert np.diff(moved).min() >= 0.1 - 1e-9
    assert moved[0] >= 0
    assert moved[-1] <= 1
    assert spread([0.1, 0.9], 0.1) == [0.1, 0.9]
    assert spread([], 0.1) == []


def test_an_unknown_axis_is_refused():
    with pytest.raises(CompareError, match="x='epochs'"):
        Comparison([]).plot(x="epochs")


def test_colors_are_those_of_okabe_and_ito():
    (axes,) = Comparison(large(3, tasks=("a",))).plot().axes
    colors = {to_hex(line.get_color()).upper() for line in axes.get_lines() if line.get_linestyle() != ":"}
    assert colors == {"#0072B2", "#D55E00", "#009E73"}


@pytest.mark.slow
def test_figures_leave_pyplot_alone():
    code = (
        "import sys; from tests.compare.results import large; from rnnkit.compare import Comparison\n"
        "Comparison(large(2)).plot(); Comparison(large(2)).plot_scores()\n"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
