"""A whole comparison: equal conditions, equal results when it is interrupted, and clear errors."""

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from rnnkit import RecurrentSpec, StackOptions, cell_kind, register_kind
from rnnkit.compare import Comparison, compare, runner, tasks
from rnnkit.compare.objective import REGRESSION
from rnnkit.compare.task import VALIDATION_SEED
from rnnkit.compare.training import train as train_model
from rnnkit.errors import CompareError
from tests.helpers.cells import SimpleCell

TASK = tasks.adding(length=6)
GRU = RecurrentSpec(kind="gru", input_size=2, hidden_size=3)
QUICK = {"steps": 3, "parameters": 200, "num_layers": 1, "seeds": 2, "engine": "here"}


def scores(comparison):
    return {(each.label, each.task, each.seed): each.score for each in comparison.results}


def test_every_kind_task_and_seed_is_a_run_with_equal_conditions():
    result = compare(["gru", "rnn"], [TASK, "adding(length=7)"], **QUICK)
    assert len(result.results) == 2 * 2 * 2
    assert {each.status for each in result.results} == {"finished"}
    assert {each.steps for each in result.results} == {3}
    assert all(abs(each.parameters - 200) < 60 for each in result.results)
    assert len(set(scores(result).values())) == 8


def test_the_same_seed_gives_the_same_score_and_torchs_generator_is_kept():
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    assert scores(compare(["gru"], [TASK], **QUICK)) == pytest.approx(scores(compare(["gru"], [TASK], **QUICK)))
    torch.testing.assert_close(torch.rand(3), want)


def test_models_of_a_comparison_run_their_executor(monkeypatch):
    found = []

    def train(model, *arguments):
        result = train_model(model, *arguments)
        found.append(model.backbone.executor)
        return result

    monkeypatch.setattr("rnnkit.compare.run.train", train)
    compare(["mgu"], [TASK], **QUICK)
    assert found == ["kernels"] * 2


@pytest.mark.parametrize("done", [0, 1, 3])
def test_an_interrupted_comparison_continues_with_the_same_result(done, tmp_path, monkeypatch):
    whole = compare(["gru", "rnn"], [TASK], **QUICK)
    with monkeypatch.context() as patch:
        interrupt_after(done, patch)
        with pytest.raises(KeyboardInterrupt):
            compare(["gru", "rnn"], [TASK], file=tmp_path / "part.json", **QUICK)
    executed = count_runs(monkeypatch)
    result = compare(["gru", "rnn"], [TASK], file=tmp_path / "part.json", **QUICK)
    assert len(executed) == 4 - done
    assert scores(result) == pytest.approx(scores(whole))
    assert scores(Comparison.load(tmp_path / "part.json")) == scores(result)


def interrupt_after(done, monkeypatch):
    executed, execute = [], runner.execute

    def execute_some(run):
        if len(executed) == done:
            raise KeyboardInterrupt
        executed.append(run)
        return execute(run)

    monkeypatch.setattr(runner, "execute", execute_some)


def count_runs(monkeypatch):
    executed, execute = [], runner.execute
    monkeypatch.setattr(runner, "execute", lambda run: executed.append(run) or execute(run))
    return executed


def test_other_conditions_are_other_runs(tmp_path, monkeypatch):
    compare(["gru"], [TASK], file=tmp_path / "a.json", **QUICK)
    executed = count_runs(monkeypatch)
    result = compare(["gru"], [TASK], file=tmp_path / "a.json", **{**QUICK, "steps": 4})
    assert len(executed) == 2
    assert len(result.results) == 4


def test_runs_that_failed_or_were_stopped_are_made_again(tmp_path, monkeypatch):
    arguments = {**QUICK, "seeds": 1, "steps": 10**5, "file": tmp_path / "a.json"}
    (stopped,) = compare(["gru"], [TASK], budget=0.01, **arguments).results
    (again,) = compare(["gru"], [TASK], budget=0.02, **arguments).results
    assert (stopped.status, again.status) == ("stopped", "stopped")
    assert again.training.limit == 0.02
    executed = count_runs(monkeypatch)
    compare(["gru"], [TASK], budget=0.02, **arguments)
    assert not executed
    Comparison([replace(again, status="failed", score=None)]).save(tmp_path / "a.json")
    compare(["gru"], [TASK], budget=0.02, **arguments)
    assert len(executed) == 1


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "context",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.device("meta"),
        lambda: torch.autocast("cpu"),
    ],
    ids=["no_grad", "inference_mode", "device", "autocast"],
)
def test_modes_of_torch_in_this_process_do_not_change_a_run(context):
    whole = compare(["gru"], [TASK], **QUICK)
    with context():
        settings = torch_settings()
        result = compare(["gru"], [TASK], **QUICK)
        assert torch_settings() == settings
    assert scores(result) == pytest.approx(scores(whole))


def test_a_run_in_this_process_needs_the_usual_default_dtype():
    with default_dtype(torch.float64), pytest.raises(CompareError, match=r"default dtype is torch\.float64: call"):
        compare(["gru"], [TASK], **QUICK)


def test_a_run_in_this_process_has_a_warning_if_it_computed_on_several_threads():
    torch.set_num_threads(2)
    try:
        result = compare(["gru"], [TASK], **QUICK)
    finally:
        torch.set_num_threads(1)
    assert {each.warning for each in result.results} == {"computed on 2 threads: call torch.set_num_threads(1) before"}


def torch_settings():
    autocast = torch.is_autocast_enabled("cpu")
    grad = (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
    return torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads(), grad, autocast


def test_two_comparisons_may_write_to_one_file(tmp_path, monkeypatch):
    file, execute = tmp_path / "a.json", runner.execute

    def execute_while_another_writes(run):
        monkeypatch.setattr(runner, "execute", execute)
        compare(["rnn"], [TASK], file=file, **QUICK)
        return execute(run)

    monkeypatch.setattr(runner, "execute", execute_while_another_writes)
    result = compare(["gru"], [TASK], file=file, **QUICK)
    assert [(each.label, each.seed) for each in result.results] == [("gru", 0), ("gru", 1), ("rnn", 0), ("rnn", 1)]
    assert Comparison.load(file) == result


def test_a_folder_that_cannot_be_made_is_an_error_before_the_runs(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    executed = count_runs(monkeypatch)
    with pytest.raises(OSError, match="a'"):
        compare(["gru"], [TASK], file=tmp_path / "a" / "b.json", **QUICK)
    assert executed == []


def test_labels_tell_specs_apart():
    kinds = {"narrow": {"kind": "gru", "hidden_size": 2}, "wide": {"kind": "gru", "hidden_size": 5}}
    result = compare(kinds, [TASK], **{**QUICK, "seeds": [7]})
    assert [(each.label, each.spec["hidden_size"], each.seed) for each in result.results] == [
        ("narrow", 2, 7),
        ("wide", 5, 7),
    ]


def test_a_kind_that_raises_is_a_result():
    class Broken(SimpleCell):
        def step(self, projected_t, state):
            raise RuntimeError("no step today")

    with register_kind(cell_kind(Broken, name="broken", summary="A test.", options=StackOptions)):
        result = compare(["broken", "gru"], [TASK], **QUICK)
    by_label = {each.label: each for each in result.results}
    assert by_label["gru"].status == "finished"
    assert by_label["local/broken"].status == "failed"
    assert "RuntimeError: no step today" in by_label["local/broken"].error


def test_a_size_that_cannot_be_reached_is_a_warning_a_result_and_a_note():
    with pytest.warns(UserWarning, match="gru on adding.* parameters instead of 7: no hidden") as caught:
        result = compare(["gru", "rnn"], [TASK], **{**QUICK, "parameters": 7})
    assert [each.filename for each in caught] == [__file__]
    gru, _, rnn, _ = result.results
    assert gru.warning == f"{gru.parameters} parameters instead of 7: no hidden size comes closer"
    assert rnn.warning == ""
    assert any(note.startswith(f"gru on adding(length=6) has {gru.parameters}") for note in result.table().notes)


def test_a_time_that_cannot_be_met_is_a_warning_of_the_result():
    settings = {**QUICK, "match": "time", "seeds": 1}
    (short,) = compare(["gru"], [TASK], **settings, seconds=1e-6).results
    assert f"{short.seconds:.3g} seconds of training instead of 1e-06" in short.warning
    (fitted,) = compare(["esn"], [TASK], **settings, seconds=1e6).results
    assert fitted.steps == 0
    assert f"{fitted.seconds:.3g} seconds of training instead of 1e+06" in fitted.warning
    assert fitted.seconds > 0


def test_runs_of_two_threads_do_not_share_the_generator():
    """Torch has one generator for all threads, so that each run in this process has its own."""
    alone = scores(compare(["gru", "rnn"], [TASK], **QUICK))
    with ThreadPoolExecutor(2) as threads:
        both = [*threads.map(lambda kind: compare([kind], [TASK], **QUICK), ["gru", "rnn"])]
    assert scores(both[0].merge(both[1])) == pytest.approx(alone)


def test_a_diverged_run_has_no_score():
    class Diverging(SimpleCell):
        def step(self, projected_t, state):
            y, state = super().step(projected_t, state)
            return y / 0, state

    with register_kind(cell_kind(Diverging, name="diverging", summary="A test.", options=StackOptions)):
        result = compare(["diverging"], [TASK], **QUICK)
    assert {(each.status, each.score) for each in result.results} == {("diverged", None)}


def task_with(**functions):
    class Own(type(TASK)):
        objective = property(lambda self: REGRESSION._replace(**functions))

    return Own(length=6)


@pytest.mark.parametrize("number", [torch.tensor, np.float32], ids=["tensor", "numpy"])
def test_an_objective_may_return_other_numbers_than_float(number, tmp_path):
    task = task_with(
        score=lambda output, target: number(REGRESSION.score(output, target)),
        chance=lambda target: number(REGRESSION.chance(target)),
    )
    result = compare(["gru"], [task], file=tmp_path / "a.json", **QUICK)
    assert scores(result) == pytest.approx(scores(compare(["gru"], [TASK], **QUICK)))
    assert scores(Comparison.load(tmp_path / "a.json")) == scores(result)
    assert {each.chance for each in result.results} == {1.0}


def test_a_run_whose_score_by_chance_is_not_finite_has_failed(tmp_path):
    result = compare(["gru"], [task_with(chance=lambda target: math.nan)], file=tmp_path / "a.json", **QUICK)
    assert {each.status for each in result.results} == {"failed"}
    assert "`chance` must return a finite number, but returned nan" in result.results[0].error
    assert Comparison.load(tmp_path / "a.json").results == result.results


def test_a_reservoir_is_fitted_by_regression():
    (result,) = compare(["esn"], [TASK], **{**QUICK, "parameters": 40, "seeds": 1}).results
    assert (result.status, result.steps) == ("finished", 0)
    assert result.score < 1


def test_the_budget_stops_runs_after_equal_shares():
    result = compare(["gru"], [TASK], budget=0.1, **{**QUICK, "steps": 10**6})
    assert {each.status for each in result.results} == {"stopped"}
    assert all(each.score is not None and each.steps < 10**6 for each in result.results)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kinds": ["*nothing"]}, r"No kind matches '\*nothing'"),
        ({"kinds": "gru"}, r"kinds='gru' is a single name: write \['gru'\]"),
        ({"match": "params"}, "match='params' is none of .* Did you mean 'parameters'"),
        ({"kinds": []}, r"kinds=\[\] is empty: name at least one"),
        ({"kinds": {}}, r"kinds=\{\} is empty"),
        ({"kinds": None}, "kinds=None is not a list of names: write them as"),
        ({"kinds": [GRU]}, r"kinds has RecurrentSpec\(.*, which is not a name: to compare specs, write a mapping"),
        ({"kinds": {"a": GRU}}, r"The spec of 'a' must be a mapping .* such as \{'kind': 'gru'\}, but is Recurrent"),
        ({"kinds": {"a": {"hidden_size": 3}}}, "The spec of 'a' must be a mapping of fields with the field `kind`"),
        ({"kinds": {"a": {"kind": "gru", "options": None}}}, "The `options` of 'a' must be a mapping, but are None"),
        ({"kinds": {1: {"kind": "gru"}}}, "A label must be a string, but is 1"),
        ({"tasks": []}, r"tasks=\[\] is empty: name at least one"),
        ({"seeds": []}, r"seeds=\[\] is not valid: .* at least 1 item"),
        ({"seeds": 0}, "seeds=0 is not valid: .* greater than or equal to 1"),
        ({"seeds": [-1]}, r"seeds=\[-1\] is not valid: .* greater than or equal to 0"),
        ({"seeds": [VALIDATION_SEED]}, r"seeds=\[4000000001\] is not valid: .* less than 4000000001"),
        ({"seeds": [2**64]}, "is not valid: .* less than 4000000001"),
        ({"seeds": "3"}, "seeds='3' is not valid: .* a valid integer"),
        ({"seeds": None}, "seeds=None is not valid"),
        ({"seconds": -1.0}, "seconds=-1.0 is not valid: .* greater than 0"),
        ({"learning_rate": math.inf}, "learning_rate=inf is not valid: .* finite"),
        ({"learning_rate": math.nan}, "learning_rate=nan is not valid"),
        ({"learning_rate": None}, "learning_rate=None is not valid"),
        ({"steps": 1.5}, "steps=1.5 is not valid: .* integer"),
        ({"steps": True}, "steps=True is not valid"),
        ({"parameters": "9"}, "parameters='9' is not valid"),
        ({"num_layers": 0}, "num_layers=0 is not valid"),
        ({"search": -1}, "search=-1 is not valid"),
        ({"budget": math.inf}, "budget=inf is not valid: .* finite"),
        ({"budget": "20m"}, "budget='20m' is not valid: .* number"),
        ({"jobs": 0}, "jobs=0 runs nothing: use 1 or more"),
        ({"jobs": "2"}, "jobs='2' is not valid"),
        ({"match": None}, "match=None is none of"),
        ({"engine": None}, "There is no engine None. The engines are"),
        ({"engine": "slurm"}, "There is no engine 'slurm'"),
        ({"search": 1, "space": {"options.": []}}, "must be a list of values"),
        ({"search": 1, "space": {"a.b": [1]}}, r"names 'a.b': write a field, or options.NAME"),
    ],
)
def test_errors(arguments, words):
    with pytest.raises(CompareError, match=words):
        compare(**{"kinds": ["gru"], "tasks": [TASK], **QUICK, **arguments})


def test_an_unknown_engine_is_an_error_before_any_model_is_sized(monkeypatch):
    monkeypatch.setattr(runner, "_run", lambda *_, **__: pytest.fail("a run was made"))
    with pytest.raises(CompareError, match="no engine 'slurm'"):
        compare(["gru"], [TASK], **{**QUICK, "engine": "slurm"})


@pytest.mark.parametrize(
    "seeds", [np.int64(2), np.arange(2), (0, 1, 0), iter([0, 1])], ids=["a count", "an array", "a tuple", "an iterator"]
)
def test_seeds_are_plain_numbers_each_of_them_once(seeds, monkeypatch, tmp_path):
    executed = count_runs(monkeypatch)
    result = compare(["gru"], [TASK], **{**QUICK, "seeds": seeds, "file": tmp_path / "a.json"})
    assert [each.seed for each in executed] == [each.seed for each in result.results] == [0, 1]


def test_a_task_that_is_named_twice_is_run_once(monkeypatch):
    executed = count_runs(monkeypatch)
    compare(["gru"], ["adding(length=6)", TASK], **QUICK, search=1)
    assert len(executed) == 2 + 1


def test_workers_cannot_know_a_local_kind():
    with (
        register_kind(cell_kind(SimpleCell, name="tanh", summary="A test.", options=StackOptions)),
        pytest.raises(CompareError, match=r"cannot know 'local/tanh' of this process: .* engine='here'"),
    ):
        compare(["tanh"], [TASK], **{**QUICK, "engine": "loky"})
