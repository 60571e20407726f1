"""The tables: statistics against NumPy and pandas, ranks, failures, and hostile labels."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from rnnkit.compare import Comparison, Environment
from rnnkit.compare.scores import Board, Scores, trained_share
from rnnkit.compare.summary import DASH
from rnnkit.compare.table import comparison_table, decimals_of, number
from tests.compare.results import HOSTILE, MACHINE, TRAINING, failed, large, result, seeds


def text_of(comparison, width=100):
    return "\n".join(comparison.table().lines(width))


def row(comparison, label):
    table = comparison.table()
    (found,) = [cells for cells in table.rows if cells[0].text == label]
    return dict(zip(table.columns, found, strict=True))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_median_and_range_are_those_of_numpy_and_pandas(count):
    values = np.random.default_rng(count).normal(size=count)
    scores = Scores(seeds("a", *values.tolist()))
    assert scores.median == pytest.approx(np.median(values))
    assert scores.values == sorted(values)  # noqa: PD011  # not of pandas
    assert scores.median == pytest.approx(Comparison(scores.results).to_pandas()["score"].median())


def test_the_table_shows_what_pandas_computes():
    comparison = Comparison(large(12, count=4))
    grouped = comparison.to_pandas().groupby(["label", "task"])["score"]
    table = comparison.table()
    assert len(table.rows) == 13
    for cells in table.rows[:-1]:
        for heading, cell in zip(table.columns[1:4], cells[1:4], strict=True):
            shown = [float(each) for each in re.findall(r"\d+\.\d+", cell.text)]
            scores = grouped.get_group((cells[0].text, heading.rsplit(" ", 2)[0]))
            assert shown == pytest.approx([scores.median(), scores.min(), scores.max()], abs=0.0051)


def test_a_row_has_median_and_range_and_the_last_row_has_chance():
    comparison = Comparison([*seeds("gru", 0.5, 0.7, 0.6), *seeds("lstm", 0.95, 0.97, 0.98)])
    cells = row(comparison, "lstm")
    assert cells["adding(length=100) accuracy ↑"].text == f"0.97 (0.95{DASH}0.98)"
    assert cells["adding(length=100) accuracy ↑"].marked
    assert cells["parameters"].text == "20,004"
    assert cells["seconds"].text == "11.0"
    assert [cell.text for cell in comparison.table().rows[-1]] == ["chance", "0.10", "", "", ""]


def test_a_single_seed_has_no_range_and_no_best():
    comparison = Comparison([result("a", score=0.9), result("b", score=0.1)])
    cell = row(comparison, "a")["adding(length=100) accuracy ↑"]
    assert cell.text == "0.90"
    assert not cell.marked
    assert "One seed: differences may be noise." in text_of(comparison)


def test_failures_are_reported():
    stopped = [result("slow", seed=seed, status="stopped", steps=300, score=0.4) for seed in range(2)]
    comparison = Comparison([*seeds("lstm", 0.9, None, 0.8, None, 0.7), *stopped, failed("a"), failed("a", seed=1)])
    name = "adding(length=100) accuracy ↑"
    assert row(comparison, "lstm")[name].text == f"0.80 (0.70{DASH}0.90); 2 of 5 diverged"
    assert row(comparison, "slow")[name].text == f"0.40 (0.40{DASH}0.40); 2 of 2 stopped at 60 %"
    assert row(comparison, "a")[name].text == "2 of 2 failed"
    assert "9 runs (3 finished, 2 stopped, 2 diverged, 2 failed)" in text_of(comparison, 200)


def test_a_comparison_with_failures_only():
    comparison = Comparison([failed(), failed("other")])
    text = text_of(comparison)
    assert text.count("failed") >= 2
    assert "no parameters" in text
    assert not any(cell.marked for cells in comparison.table().rows for cell in cells)
    assert comparison.to_pandas()["score"].isna().all()
    assert comparison.plot().axes
    assert comparison.plot_scores().axes


def test_the_reasons_of_failures_are_notes():
    results = [failed("a", seed, "ValueError: no\n  such thing " + "x" * 500) for seed in range(2)]
    notes = Comparison([*results, *(failed(f"b{number}") for number in range(5))]).table().notes
    (first,) = (note for note in notes if note.startswith("a on adding(length=100) failed: ValueError: no such thing"))
    assert len(first) < 300
    assert "b0 on adding(length=100) failed: ValueError: no" in notes
    assert "3 more failures: `to_html` and `to_pandas` show all." in notes
    assert not any("failed:" in note for note in Comparison(seeds("a", 0.1, None)).table().notes)


def test_one_of_a_thing_is_singular():
    training = replace(TRAINING, steps=1)
    comparison = Comparison([result(training=training, parameters=1, steps=1)])
    assert any(note.startswith("1 parameter; 1 step; Adam") for note in comparison.table().notes)
    timed = Comparison([result(training=replace(training, seconds=1.0))])
    assert any("; 1 second; Adam" in note for note in timed.table().notes)
    failures = Comparison([failed(f"b{number}") for number in range(4)]).table().notes
    assert "1 more failure: `to_html` and `to_pandas` show all." in failures


def test_failures_are_not_taken_for_a_single_seed():
    for results in (seeds("a", 0.1, None), [failed(), failed(seed=1)]):
        assert not any("One seed" in note for note in Comparison(results).table().notes)


def test_an_empty_comparison():
    comparison = Comparison([])
    assert "no runs" in text_of(comparison)
    assert len(comparison.to_pandas()) == len(comparison.curves()) == 0
    assert repr(comparison) == "Comparison(0 labels, 0 tasks, no runs)"
    comparison.plot()
    comparison.plot_scores()


@pytest.mark.parametrize("higher", [True, False])
def test_labels_whose_ranges_overlap_share_a_rank(higher):
    sign = 1 if higher else -1
    best, tied, worst = ([sign * v for v in values] for values in ([5, 6], [5.5, 7], [1, 2]))
    results = [
        each
        for label, values in (("x", best), ("y", tied), ("z", worst))
        for each in seeds(label, *values, higher_is_better=higher)
    ]
    board = Board(results)
    assert board.ranks == {"x": 1.5, "y": 1.5, "z": 3}
    assert board.labels == ["y", "x", "z"]
    assert not any(board.is_best(label, board.measures[0]) for label in board.labels)


def test_ranks_are_those_of_pandas_if_no_ranges_overlap():
    scores = {f"k{place}": value for place, value in enumerate(np.random.default_rng(0).permutation(20) / 20)}
    board = Board([each for label, value in scores.items() for each in seeds(label, value, value + 0.01)])
    expected = pd.Series(scores).rank(ascending=False)
    assert board.ranks == pytest.approx(expected.to_dict())
    assert board.labels == list(expected.sort_values().index)


def test_a_diverged_run_counts_as_worse_than_any_score():
    board = Board([*seeds("steady", 0.6, 0.6), *seeds("risky", 0.9, None), *seeds("lost", None, None)])
    assert board.ranks == {"steady": 1.5, "risky": 2.0, "lost": 2.5}


def test_runs_with_other_settings_are_never_mixed():
    longer = seeds("lstm", 0.9, 0.9, training=replace(TRAINING, steps=1000))
    comparison = Comparison([*seeds("lstm", 0.5, 0.5), *longer, *seeds("gru", 0.7, 0.7)])
    assert {cells[0].text for cells in comparison.table().rows} == {
        "lstm [steps=500]", "lstm [steps=1000]", "gru", "chance",
    }  # fmt: skip


def test_other_environments_are_reported():
    other = Environment(processor="Other", cores=4, system="Linux", versions={**MACHINE.versions, "torch": "2.6.0"})
    assert "Environments" not in text_of(Comparison(seeds("a", 1.0, 0.5)))
    text = text_of(Comparison([result(), result(seed=1, environment=other)]), 200)
    assert "Environments differ in processor, torch: scores and seconds may not be comparable." in text
    assert "torch 2.13.0 or torch 2.6.0" in text


def test_a_version_that_only_some_kinds_need_does_not_count():
    plugin = Environment(processor="Processor 9000", cores=4, system="Linux", versions={**MACHINE.versions, "kit": "1"})
    assert "Environments" not in text_of(Comparison([result(), result("other", environment=plugin)]))


@pytest.mark.parametrize("width", [60, 80, 120, 400])
def test_lines_fit_the_terminal(width):
    lines = text_of(Comparison(large()), width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("kind_40 ") for line in lines) >= 1


def test_every_label_and_task_of_a_large_comparison_is_shown():
    comparison = Comparison(large())
    table = comparison.table()
    assert len(table.rows) == 42
    assert len(table.columns) == 7
    text = text_of(comparison, 80)
    for label in comparison.labels:
        assert label in text


def test_tasks_whose_names_are_alike_keep_their_scores():
    comparison = Comparison([result(task="a-b", score=0.25), result(task="a_b", score=0.75)])
    assert [cell.text for cell in comparison.table().rows[0][1:3]] == ["0.25", "0.75"]
    text = text_of(comparison)
    assert "0.25" in text
    assert "0.75" in text


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_hostile_labels_are_escaped():
    comparison = Comparison([*seeds(HOSTILE, 0.5, 0.6), result("b", task=HOSTILE, metric=HOSTILE)])
    assert "\x1b" not in text_of(comparison)
    parser = _Tags()
    parser.feed(comparison._repr_html_())
    assert parser.tags == {"div", "table", "thead", "tbody", "tr", "th", "td", "p"}
    assert "<script>alert('x')</script>" in "".join(parser.text)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.5, "0.50"), (0.0, "0.00"), (-1.25, "-1.25"), (1e7, "1.0e+07"), (3e-9, "3.0e-09")]
)
def test_numbers(value, shown):
    assert number(value, 2) == shown


def test_small_scores_have_more_decimals():
    assert decimals_of(seeds("a", 0.5, 0.9)) == 2
    assert decimals_of(seeds("a", 0.004, 0.005)) == 4
    assert decimals_of([failed()]) == 2


def test_the_share_of_a_training():
    assert trained_share(result(steps=300)) == 0.6
    assert trained_share(result(training=replace(TRAINING, seconds=40.0), seconds=10.0)) == 0.25


def test_a_negative_range_is_legible():
    assert (
        row(Comparison(seeds("a", -0.5, -0.2)), "a")["adding(length=100) accuracy ↑"].text == "-0.35 (-0.50 to -0.20)"
    )


def test_the_table_prints_as_text():
    table = comparison_table(seeds("a", 0.5, 0.6))
    assert str(table).startswith("label")
    assert repr(table) == str(table)
