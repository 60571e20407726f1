"""Files, data frames, merging and differences of comparisons."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from rnnkit.compare import Comparison, Environment
from rnnkit.compare import result_file as result_file_module
from rnnkit.compare.resuming import SavedResults
from rnnkit.errors import CompareError
from tests.compare.results import HOSTILE, MACHINE, TRAINING, failed, large, result, seeds

EVERY_STATUS = [
    *seeds("lstm", 0.1, 0.2, None),
    failed(HOSTILE, error=HOSTILE),
    result("slow", status="stopped", steps=3, score=0.25),
]


@pytest.mark.parametrize("results", [[], EVERY_STATUS, large()], ids=["empty", "every status", "large"])
def test_a_file_gives_the_same_comparison(tmp_path, results):
    comparison = Comparison(results)
    comparison.save(tmp_path / "a.json")
    loaded = Comparison.load(tmp_path / "a.json")
    assert loaded == comparison
    assert loaded.results == comparison.results
    loaded.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def content():
    return {"format": 1, "results": [json.loads(json.dumps(asdict(each))) for each in EVERY_STATUS]}


def changed(**fields):
    whole = content()
    whole["results"][1].update(fields)
    return json.dumps(whole)


def whole_training(**fields):
    return asdict(TRAINING) | fields


def without(field):
    whole = content()
    del whole["results"][1][field]
    return json.dumps(whole)


DAMAGED = {
    "cut off": (json.dumps(content())[:-20], "not valid JSON"),
    "empty": ("", "not valid JSON"),
    "a list": ("[]", "no list `results`"),
    "null": ("null", "no list `results`"),
    "no format": (json.dumps({"results": []}), "`format` is None"),
    "format true": (json.dumps({"format": True, "results": []}), "`format` is True"),
    "format 0": (json.dumps({"format": 0, "results": []}), "`format` is 0"),
    "later": (json.dumps({"format": 2, "results": []}), "later version of rnnkit"),
    "results null": (json.dumps({"format": 1, "results": None}), "no list `results`"),
    "unknown status": (changed(status="lost"), r"results\.1\.status: .*'finished'.*not 'lost'"),
    "score as text": (changed(score="good"), r"results\.1\.score: .*not 'good'"),
    "score NaN": (changed(score=float("nan")), r"results\.1\.score: .*finite"),
    "seed as text": (changed(seed="first"), r"results\.1\.seed"),
    "curve of texts": (changed(curve=["a"]), r"results\.1\.curve\.0"),
    "short point": (changed(curve=[[1, 2.0]]), r"results\.1\.curve\.0"),
    "training with steps as text": (changed(training=whole_training(steps="a")), r"results\.1\.training\.steps"),
    "training with a time as list": (changed(training=whole_training(seconds=[])), r"results\.1\.training\.seconds"),
    "training with an unknown field": (changed(training=whole_training(warmup=1)), r"results\.1\.training\.warmup"),
    "training list": (changed(training=[]), r"results\.1\.training"),
    "no training": (without("training"), r"results\.1\.training: .*required"),
    "environment text": (changed(environment="here"), r"results\.1\.environment"),
    "no label": (without("label"), r"results\.1\.label: .*required"),
    "unknown field": (changed(colour="red"), r"results\.1\.colour"),
    "nested": ("[" * 200_000, "not valid JSON|nested too deeply"),
}


@pytest.mark.parametrize(("text", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_gives_a_clear_error(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CompareError, match=message) as caught:
        Comparison.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_a_binary_file_gives_a_clear_error(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CompareError, match="not valid JSON"):
        Comparison.load(tmp_path / "a.json")


def test_an_error_lists_few_problems(tmp_path):
    whole = content()
    for each in whole["results"]:
        each["status"] = "lost"
    (tmp_path / "a.json").write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(CompareError, match="and 2 more problems"):
        Comparison.load(tmp_path / "a.json")
    whole["results"] = whole["results"][:4]
    (tmp_path / "a.json").write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(CompareError, match=r"and 1 more problem\b"):
        Comparison.load(tmp_path / "a.json")


def test_missing_files_and_folders_are_errors_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        Comparison.load(tmp_path / "none.json")
    with pytest.raises(OSError, match="directory"):
        Comparison.load(tmp_path)


@pytest.mark.slow
def test_ten_thousand_results_are_read_at_once(tmp_path, monkeypatch):
    """Each file is parsed once and validated once, whatever it holds, and each run has a line of its own."""
    comparison = Comparison(seeds("a", *[0.5] * 10_000))
    comparison.save(tmp_path / "a.json")
    parsed, adapter = [], result_file_module._adapter()
    monkeypatch.setattr(json, "loads", lambda text, original=json.loads: parsed.append(len(text)) or original(text))
    loaded = Comparison.load(tmp_path / "a.json")
    assert len(loaded) == 10_000
    assert loaded == comparison
    assert len(parsed) == 1
    assert result_file_module._adapter() is adapter
    assert len((tmp_path / "a.json").read_text("utf-8").splitlines()) == 10_002


SLOW_WRITER = """
import sys
import time
from pathlib import Path

from rnnkit.compare import Comparison, resuming

file, older = Path(sys.argv[1]), Comparison.load(sys.argv[2])
save = Comparison.save


def save_slowly(comparison, path):
    Path(sys.argv[3]).touch()
    time.sleep(2)  # in which the other process would write, without a lock
    save(comparison, path)

Comparison.save = save_slowly
with resuming.SavedResults(file) as saved:
    for each in older.results:
        saved.add(each)
"""


@pytest.mark.slow
def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    file, older, between = tmp_path / "a.json", tmp_path / "older.json", tmp_path / "between"
    Comparison(seeds("lstm", 0.1, 0.2)).save(older)
    with subprocess.Popen([sys.executable, "-c", SLOW_WRITER, file, older, between]) as other:
        while not between.exists():
            assert other.poll() is None
            time.sleep(0.01)
        with SavedResults(file) as saved:
            for each in seeds("gru", 0.3, 0.4):
                saved.add(each)
        assert other.wait() == 0
    assert [(each.label, each.score) for each in Comparison.load(file).results] == [
        ("gru", 0.3), ("gru", 0.4), ("lstm", 0.1), ("lstm", 0.2),
    ]  # fmt: skip


def test_a_newer_result_of_another_process_is_kept(tmp_path):
    file, (older, newer) = tmp_path / "a.json", [result(score=None, status="failed"), result(score=0.5)]
    Comparison([replace(older, key="k")]).save(file)
    with SavedResults(file):
        Comparison([replace(newer, key="k")]).save(file)
    assert [each.score for each in Comparison.load(file).results] == [0.5]


def test_data_frames_hold_the_results():
    comparison = Comparison([*large(5), *EVERY_STATUS])
    frame = comparison.to_pandas()
    assert len(frame) == len(comparison) > 40
    for row, each in zip(frame.to_dict("records"), comparison.results, strict=True):
        for name in ("key", "label", "kind", "task", "metric", "higher_is_better", "seed", "status", "steps", "error"):
            assert row[name] == getattr(each, name)
        assert row["score"] == each.score or (each.score is None and row["score"] != row["score"])
        assert row["spec.hidden_size"] == each.spec["hidden_size"]
        assert row["spec.options.forget_bias"] == 1.0
        assert row["training.learning_rate"] == 0.004
        assert row["environment.versions.torch"] == "2.13.0"
        assert row["environment.processor"] == "Processor 9000"
    assert frame["score"].dtype == float


def test_curves_hold_every_point():
    comparison = Comparison(large(4))
    frame = comparison.curves()
    expected = [(each.key, *point) for each in comparison.results for point in each.curve]
    assert len(expected) == 4 * 3 * 3 * 3
    assert list(frame[["key", "step", "seconds", "loss", "score"]].itertuples(index=False, name=None)) == expected


def test_of_two_results_of_a_run_the_later_one_counts():
    old, new = result(score=0.1), result(score=0.9, environment=replace(MACHINE, cores=64))
    assert old.key == new.key
    assert Comparison([old]).merge(Comparison([new])).results == [new]
    assert Comparison([new]).merge(Comparison([old])).results == [old]


def test_merging_keeps_the_runs_of_both():
    whole = large(4)
    assert Comparison(whole[::2]).merge(Comparison(whole[1::2])) == Comparison(whole)


def test_select():
    comparison = Comparison(large(4))
    chosen = comparison.select(labels=["kind_1"], tasks=["text(length=64)"])
    assert len(chosen) == 3
    assert chosen.labels == ["kind_1"]
    assert comparison.select() == comparison
    with pytest.raises(CompareError, match=r"no label 'kind_11'\. Did you mean"):
        comparison.select(labels=["kind_11"])
    with pytest.raises(CompareError, match=r"write \['kind_1'\]"):
        comparison.select(labels="kind_1")


def test_equality_and_repr():
    comparison = Comparison(EVERY_STATUS)
    assert comparison == Comparison(reversed(EVERY_STATUS))
    assert comparison != Comparison(EVERY_STATUS[1:])
    assert comparison != "a"
    assert repr(comparison) == "Comparison(3 labels, 1 task, 2 finished, 1 stopped, 1 diverged, 1 failed)"


def difference_cells(older, newer):
    table = Comparison(newer).difference(Comparison(older))
    return {row[0].text: row[1] for row in table.rows}, table


def test_a_difference_is_marked_outside_the_range():
    older = [*seeds("up", 0.5, 0.6), *seeds("same", 0.5, 0.6), *seeds("gone", 0.1)]
    newer = [*seeds("up", 0.7, 0.8), *seeds("same", 0.55, 0.65), *seeds("came", 0.1)]
    cells, table = difference_cells(older, newer)
    assert cells["up"] == ("+0.20 (0.55 to 0.75)", True)
    assert cells["same"] == ("+0.05 (0.55 to 0.60)", False)
    assert "Only in the older one: gone" in table.notes
    assert "Only in the newer one: came" in table.notes


def test_a_difference_reports_runs_without_a_score():
    cells, _ = difference_cells(seeds("a", 0.5, 0.6), seeds("a", None, None))
    assert cells["a"].text == "—; newer: 2 of 2 diverged"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": replace(TRAINING, steps=1000)}, "'a' on adding.*: steps was 500 and is 1000"),
        ({"spec": {"kind": "lstm", "hidden_size": 64}}, "hidden_size was 48 and is 64"),
    ],
)
def test_runs_that_were_sized_or_trained_differently_have_no_difference(changes, message):
    with pytest.raises(CompareError, match=message):
        difference_cells(seeds("a", 0.5), seeds("a", 0.5, **changes))


def test_a_limit_counts_only_if_it_stopped_a_run():
    limited = replace(TRAINING, limit=9.0)
    assert difference_cells(seeds("a", 0.5), seeds("a", 0.5, training=limited))
    with pytest.raises(CompareError, match=r"limit was None and is 9\.0"):
        difference_cells(seeds("a", 0.5), seeds("a", 0.5, training=limited, status="stopped"))


def test_comparisons_with_nothing_in_common_have_no_difference():
    with pytest.raises(CompareError, match="no label and task in common"):
        difference_cells(seeds("a", 0.5), seeds("b", 0.5))
    with pytest.raises(CompareError, match="no label and task in common"):
        difference_cells(seeds("a", 0.5), seeds("a", 0.5, task="other"))


def test_a_difference_names_both_machines():
    other = Environment(processor="Other", cores=1, system="Windows", versions={"torch": "2.6.0"})
    _, table = difference_cells(seeds("a", 0.5), seeds("a", 0.5, environment=other))
    assert any(note.startswith("older: Processor 9000") for note in table.notes)
    assert any(note.startswith("newer: Other, 1 core, Windows") for note in table.notes)
