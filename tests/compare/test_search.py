"""The search for settings: by the validation, with Optuna's journal, and the same when it is interrupted."""

import io
import re
import sys

import optuna
import pytest

from rnnkit.compare import compare, progress, tasks
from rnnkit.compare.search import FIRST_SEED
from rnnkit.errors import CompareError

TASK = tasks.adding(length=6)
QUICK = {"steps": 3, "parameters": 200, "num_layers": 1, "seeds": 1, "engine": "here", "search": 3}


def studies(file):
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(file)))
    return [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]


def test_the_best_trial_sets_the_runs(tmp_path):
    result = compare(["gru", "rnn"], [TASK], file=tmp_path / "a.json", space={"num_layers": [1, 2]}, **QUICK)
    found = {study.study_name.split()[0]: study for study in studies(tmp_path / "a.optuna")}
    assert found.keys() == {"gru", "rnn"}
    for each in result.results:
        study = found[each.label]
        assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
        assert study.best_value == min(trial.value for trial in study.trials)
        assert each.training.learning_rate == study.best_params["learning_rate"]
        assert each.spec.get("num_layers", 1) == study.best_params["num_layers"]
        assert (each.trials, each.seed) == (3, 0)


@pytest.mark.slow
def test_all_rounds_and_runs_have_the_same_processes(monkeypatch):
    from rnnkit.compare import engine

    opened, pool = [], engine.loky_pool

    def counted(*arguments):
        opened.append(arguments)
        return pool(*arguments)

    monkeypatch.setitem(engine._POOLS, "loky", counted)
    result = compare(["gru"], [TASK], **{**QUICK, "engine": "loky"}, jobs=1)
    assert [each.status for each in result.results] == ["finished"]
    assert len(opened) == 1


def test_the_progress_shows_trials(monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    arguments = {"kinds": ["gru"], "tasks": [TASK], "file": tmp_path / "a.json", **QUICK}
    for done in (0, 3):  # those of the journal are done
        monkeypatch.setattr(sys, "stderr", written := io.StringIO())
        (result,) = compare(**arguments, progress=True).results
        lines = written.getvalue().splitlines()
        (study,) = studies(tmp_path / "a.optuna")
        trials = [
            f"{number + 1}/3 NRMSE {study.trials[number].value:.3f}: gru, {TASK}, trial {number + 1}"
            for number in range(done, 3)
        ]
        assert lines == [*trials, *([] if done else [f"1/1 NRMSE {result.score:.3f}: gru, {TASK}, seed 0"])]


@pytest.mark.parametrize("done", [1, 4])
def test_an_interrupted_search_finds_the_same(done, tmp_path, monkeypatch):
    from rnnkit.compare import runner

    arguments = {"kinds": ["gru", "rnn"], "tasks": [TASK], **QUICK}
    whole = compare(**arguments)
    seeds, execute = [], runner.execute

    def interrupted(run):
        if len(seeds) == done:
            raise KeyboardInterrupt
        seeds.append(run.seed)
        return execute(run)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare(**arguments, file=tmp_path / "a.json")
    assert min(seeds) >= FIRST_SEED
    result = compare(**arguments, file=tmp_path / "a.json")
    assert [each.key for each in result.results] == [each.key for each in whole.results]


def test_options_are_searched_and_trials_that_fail_do_not_count(tmp_path):
    space = {"options.recurrent_init": ["default", "orthogonal"], "dropout": [0.0, 0.25], "num_layers": [1, 2]}
    (result,) = compare(["gru"], [TASK], file=tmp_path / "a.json", space=space, **{**QUICK, "search": 8}).results
    (study,) = studies(tmp_path / "a.optuna")
    states = [trial.state.name for trial in study.trials]
    assert set(states) == {"COMPLETE", "FAIL"}  # dropout acts between layers: it is refused with one
    assert (
        result.spec.get("options", {}).get("recurrent_init", "default") == study.best_params["options.recurrent_init"]
    )
    assert result.spec.get("dropout", 0.0) == study.best_params["dropout"]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"num_layer": [1]}, "No trial of 'gru' on adding.* can be built.*no field 'num_layer'"),
        ({"options.zzz": [1]}, "No trial of 'gru' on adding.* can be built.*no option 'zzz'"),
        ({"num_layers": [0, -1]}, "No trial of 'gru' on adding.* can be built"),
        ({"input_size": [3]}, "No trial of 'gru' on adding.* can be built.*sets input_size"),
        ({"kind": ["lstm"]}, "The search space names 'kind': name each kind in `kinds`"),
        ({"num_layers": [[1], [2]]}, r"values of 'num_layers' must be numbers, strings, booleans or None.* \[1\]"),
        ({1: [2]}, "The search space names 1: write a field"),
        (["num_layers"], r"space=\['num_layers'\] must be a mapping from names to lists"),
    ],
)
def test_a_space_that_cannot_be_searched_is_an_error(space, message):
    with pytest.raises(CompareError, match=re.compile(message, re.DOTALL)):
        compare(["gru"], [TASK], space=space, **QUICK)


def test_a_space_without_a_search_is_an_error():
    with pytest.raises(CompareError, match=re.escape("space has no effect without search: set search=20")):
        compare(["gru"], [TASK], space={"num_layers": [1]}, **{**QUICK, "search": 0})


@pytest.mark.parametrize("content", [b"garbage\n" * 2, b"garbage", b"\x00\xff\n", b'{"a": 1}\n', b"[]\n"])
def test_a_damaged_journal_is_an_error(content, tmp_path):
    (tmp_path / "a.optuna").write_bytes(content)
    with pytest.raises(CompareError, match=r"a\.optuna is not a journal of Optuna .*: delete it, or use another file"):
        compare(["gru"], [TASK], file=tmp_path / "a.json", **QUICK)


def test_a_damaged_file_is_an_error_before_the_search(tmp_path):
    (tmp_path / "a.json").write_text("")
    with pytest.raises(CompareError, match="does not hold the results of a comparison"):
        compare(["gru"], [TASK], file=tmp_path / "a.json", **QUICK)
    assert not (tmp_path / "a.optuna").exists()


def test_the_table_and_the_report_say_what_was_tuned(tmp_path):
    tuned = compare(["gru"], [TASK], **QUICK)
    plain = compare(["rnn"], [TASK], **{**QUICK, "search": 0})
    texts = {"tuned by 3 trials": tuned, "not tuned": plain, "not tuned and tuned by 3 trials": tuned.merge(plain)}
    for text, comparison in texts.items():
        comparison.to_html(tmp_path / "a.html")
        assert f", {text}" in " ".join(str(comparison.table()).split())
        assert ("Nothing was tuned" in (tmp_path / "a.html").read_text("utf-8")) == (comparison is plain)
