"""The search for settings: by the validation, with Optuna's journal, and the same when it is interrupted."""

import optuna
import pytest

from rnnkit.compare import compare, tasks
from rnnkit.compare.search import FIRST_SEED

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
        assert each.training["learning_rate"] == study.best_params["learning_rate"]
        assert each.spec.get("num_layers", 1) == study.best_params["num_layers"]
        assert (each.trials, each.seed) == (3, 0)


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
