"""The conformance kit: reports, pytest parametrization, and safeguards against runs that check nothing."""

import itertools
import json
import os
import subprocess
import sys
from importlib.metadata import distribution
from textwrap import dedent

import pytest
import torch

from rnnkit import CellState, RnnkitError, UnknownKindError, cell_kind, register_kind
from rnnkit.testing import Check, CheckFailedError, CheckResult, all_checks, check_kind, parametrize_with_checks
from rnnkit.testing._raised_at import raised_at
from rnnkit.testing._runner import run_check
from rnnkit.testing.kind_under_test import KindUnderTest
from tests.helpers.cells import SimpleCell


class Forgetful(SimpleCell):
    """Keeps the state of the last call in the module."""

    def step(self, projected_t, state):
        before = getattr(self, "kept", state.h)
        h, _ = super().step(projected_t, CellState(before if before.shape == state.h.shape else state.h))
        self.kept = h.detach()
        return h, CellState(h)


class WithoutBias(SimpleCell):
    """Does not support bias=True."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias=False, device=device, dtype=dtype)


@pytest.fixture
def simple():
    with register_kind(cell_kind(SimpleCell, name="simple", summary="A test.")) as kind:
        yield kind.name


@pytest.fixture
def forgetful():
    with register_kind(cell_kind(Forgetful, name="forgetful", summary="A test.")) as kind:
        yield kind.name


RELU = {"nonlinearity": "relu", "forget_bias": None}
TWO = ("chunks_equal_full_sequence", "step_equals_forward")

# The report


def test_a_report_contains_every_check_in_order(simple, monkeypatch):
    monkeypatch.setattr("rnnkit.testing._runner.run_check", lambda check, _: CheckResult(check, "passed"))
    results = check_kind(simple).results
    assert [each.check for each in results] == list(all_checks())
    assert len({each.check.name for each in results}) == len(results)


def test_the_order_of_checks_does_not_depend_on_imports():
    source = "import {}; from rnnkit.testing import all_checks; print([each.name for each in all_checks()])"
    command = [sys.executable, "-c", source.format("rnnkit.testing.checks.transforms")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.strip() == str([each.name for each in all_checks()])


def test_every_check_has_a_text_a_cause_and_a_short_name():
    for check in all_checks():
        assert check.text.endswith("."), check.name
        assert check.cause.endswith("."), check.name
        assert len(check.name) <= 34, "longer names do not fit in a report"


def test_passed_checks_have_figures(simple):
    report = check_kind(simple, only=TWO)
    assert report.kind == simple
    assert report.plugin is None
    assert [each.outcome for each in report.results] == ["passed", "passed"]
    assert report.passed == report.results
    assert all(0 <= each.figures["off by"] < 1e-12 and each.figures["cases"] >= 2 for each in report.results)
    report.require()


def test_failed_checks_have_a_reason_and_a_spec(forgetful):
    report = check_kind(forgetful, only=TWO)
    assert report["chunks_equal_full_sequence"].outcome == "failed"
    reason = report["chunks_equal_full_sequence"].reason
    assert "the output and state of two chunks [0] is" in reason
    assert "should be" in reason
    assert "with RecurrentSpec(kind='local/forgetful'" in reason
    assert report.failed
    with pytest.raises(CheckFailedError, match=r"(?s)'local/forgetful' fails chunks.*Usually: A value that is"):
        report.require()


def test_rejected_configurations_are_reported():
    with register_kind(cell_kind(WithoutBias, name="without_bias", summary="A test.")) as kind:
        report = check_kind(kind.name, only=TWO)
    assert any("WithoutBias" in each and "bias" in each for each in report.results[0].left_out)
    assert "rejected by the kind, not tried" in str(report)


def test_reports_as_plain_data(forgetful, simple):
    for kind in (forgetful, simple):
        data = check_kind(kind, only=TWO).to_dict()
        assert json.loads(json.dumps(data, allow_nan=False)) == data
        assert [each["check"] for each in data["results"]] == list(TWO)


def test_reports_name_the_distribution():
    report = check_kind("rnnkit/gru", only=TWO)
    assert (report.kind, report.plugin) == ("gru", "rnnkit==" + report.versions["rnnkit"])
    assert report.versions["torch"] == torch.__version__


def test_the_text_of_a_report_fits_its_width(forgetful):
    report = check_kind(forgetful, only=[*TWO, "record_is_complete", "step_matches_equation", "large_batches", "empty"])
    assert {each.outcome for each in report.results} == {"passed", "failed", "not applicable"}
    for width in (80, 100, 120):
        lines = report.text(width).splitlines()
        assert max(len(line) for line in lines if "RecurrentSpec(" not in line) <= width
        assert all(each.check.name in report.text(width) for each in report.results)


def test_the_report_shows_the_seed_of_drawn_sizes(simple):
    report = check_kind(simple, only=["large_batches"], seed=3)
    assert (report.seed, report.to_dict()["seed"]) == (3, 3)
    assert "\nsizes drawn with seed 3: --seed 3, or seed=3, repeats them\n" in str(report)
    assert "seed" not in str(check_kind(simple, only=TWO))


# Running checks


def test_an_unknown_check_is_an_error_with_a_suggestion(simple):
    with pytest.raises(ValueError, match=r"no check 'chunk_equals_full_sequence'.* Did you mean 'chunks_equal"):
        check_kind(simple, only=["chunk_equals_full_sequence"])


@pytest.mark.parametrize(
    "only", [["chunks", "step_equals_f"], ["chunks_*", "step_*_forward"], [*TWO, "chunks"]], ids=str
)
def test_checks_are_selected_by_part_of_a_name_or_pattern(simple, only):
    assert [each.check.name for each in check_kind(simple, only=only).results] == list(TWO)


@pytest.mark.parametrize("only", ["chunks", "chunks_*", TWO[0]])
def test_a_string_is_one_pattern(simple, only):
    assert [each.check.name for each in check_kind(simple, only=only).results] == [TWO[0]]


def test_no_pattern_at_all_is_an_error(simple):
    with pytest.raises(ValueError, match="only must name at least one check, but is empty; use only=None"):
        check_kind(simple, only=[])


def test_one_mapping_of_options_is_accepted():
    given = [check_kind("rnn_cell", only=TWO, options=each) for each in (RELU, [RELU])]
    assert given[0].to_dict() == given[1].to_dict()
    assert given[0].results[0].figures["cases"] > check_kind("rnn_cell", only=TWO).results[0].figures["cases"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "gru"}, "spec must not set 'kind', but sets it to 'gru'. The kind under test is the argument"),
        ({"num_embeddings": 5}, "spec must not set 'num_embeddings', but sets it to 5. The checks test the recurrent"),
        ({"padding_idx": 0}, "spec must not set 'padding_idx', but sets it to 0"),
        ({"tie_weights": True}, "spec must not set 'tie_weights', but sets it to True"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_spec_must_not_set_the_kind_or_the_embedding(simple, spec, message):
    with pytest.raises(ValueError, match=message):
        check_kind(simple, spec=spec)
    [test, *_] = [parameter.values[0] for parameter in parametrize_with_checks(simple, spec=spec).args[1]]
    with pytest.raises(ValueError, match=message):
        test.run()


def test_an_unknown_kind_is_an_error():
    with pytest.raises(UnknownKindError, match="nonsense"):
        check_kind("nonsense")


def test_sizes_can_be_given_for_kinds_that_accept_none_of_the_default_sizes():
    def check(spec):
        if spec.hidden_size != 60:
            yield "hidden_size", "must be 60"

    with register_kind(cell_kind(SimpleCell, name="sixty", summary="A test.", check=check)) as kind:
        with pytest.raises(ValueError, match=r"accepts none.*must be 60\. Give fields that it accepts"):
            check_kind(kind.name)
        assert check_kind(kind.name, spec={"hidden_size": 60}, only=TWO).passed


def test_a_message_that_ends_with_a_question_mark_gets_no_period():
    with pytest.raises(ValueError, match=r"Did you mean 'hidden_size'\? Give fields"):
        check_kind("gru", spec={"hiden_size": 12})


def test_accepted_sizes_are_found():
    def check(spec):
        if spec.hidden_sizes[0] % 8:
            yield "hidden_size", "must be a multiple of 8"

    with register_kind(cell_kind(SimpleCell, name="eight", summary="A test.", check=check)) as kind:
        assert len(check_kind(kind.name, only=TWO).passed) == 2


def test_a_check_that_compares_nothing_fails(simple):
    empty = Check("empty", "numerics", "Nothing.", "", lambda context: None)
    result = run_check(empty, KindUnderTest(simple))
    assert (result.outcome, result.reason) == ("failed", "empty compared nothing")


def test_any_exception_is_a_failure(simple):
    def raising(context):
        next(context.cases())
        raise SystemError("out of order")

    result = run_check(Check("raising", "numerics", "Nothing.", "", raising), KindUnderTest(simple))
    assert result.outcome == "failed"
    assert result.reason.startswith("it raised SystemError: out of order (test_kit.py, line ")
    assert "\nwith RecurrentSpec(" in result.reason


class Broken(SimpleCell):
    """Its step raises an error."""

    def step(self, projected_t, state):
        h, c = state
        return h, c


def test_an_exception_of_a_plugin_names_its_line():
    with register_kind(cell_kind(Broken, name="broken", summary="A test.")) as kind:
        reason = check_kind(kind.name, only="empty_batch")["empty_batch"].reason
    line = Broken.step.__code__.co_firstlineno + 1
    assert f"it raised ValueError: not enough values to unpack (expected 2, got 1) (test_kit.py, line {line}" in reason
    assert f"line {line}, in Broken.step)\n" in reason


class BrokenInALibrary(SimpleCell):
    """Passes a wrong argument to a function of the standard library."""

    def step(self, projected_t, state):
        return json.loads(projected_t), state


def test_an_exception_of_a_library_names_the_line_that_calls_it():
    with register_kind(cell_kind(BrokenInALibrary, name="broken", summary="A test.")) as kind:
        reason = check_kind(kind.name, only="empty_batch")["empty_batch"].reason
    assert "the JSON object must be str" in reason
    assert "in BrokenInALibrary.step)" in reason


def test_an_exception_outside_of_plugins_names_no_line():
    assert raised_at(ValueError("never raised")) == ""


def test_random_state_is_restored(simple):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with torch.no_grad():
        check_kind(simple, only=TWO)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.rand(3), expected)


# In pytest


TESTS = """
from tests.helpers.cells import SimpleCell
from tests.testing.test_kit import Forgetful
from rnnkit import cell_kind, register_kind
from rnnkit.testing import all_checks, parametrize_with_checks

register_kind(cell_kind(SimpleCell, name="simple", summary="A test."))
register_kind(cell_kind(Forgetful, name="forgetful", summary="A test."))
EXPECTED = {"chunks_equal_full_sequence": "it keeps its state, #7"}

@parametrize_with_checks("simple", "local/simple")
def test_two(check):
    if check.name in ("chunks_equal_full_sequence", "hidden_size_per_layer"):
        check.run()

@parametrize_with_checks("simple", "forgetful", minimum=len(all_checks()))
def test_all(check):
    check.run()

@parametrize_with_checks("simple", "forgetful", expected_failures=EXPECTED)
def test_expected(check):
    check.run()
"""
CHUNKS = "chunks_equal_full_sequence"
SELECTED = [
    "test_two",
    f"test_all[forgetful-{CHUNKS}]",
    "test_all[simple-executors_equal_step_loop]",
    f"test_expected[simple-{CHUNKS}]",
    f"test_expected[forgetful-{CHUNKS}]",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The outcome of each test by its id, and the output of pytest."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "test_it.py").write_text(TESTS)
    environment = {**os.environ, "PYTHONPATH": str(__file__).rpartition("/tests/")[0], "OMP_NUM_THREADS": "1"}
    environment["RNNKIT_EXECUTORS"] = ""
    options = ["-p", "no:cacheprovider", "-q", "-rA", *(f"test_it.py::{each}" for each in SELECTED)]
    command = [sys.executable, "-m", "pytest", *options]
    printed = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout
    lines = [line.split(" ", 2) for line in printed.splitlines() if " test_it.py::" in line]
    return {line[1].partition("::")[2]: line[0] for line in lines}, printed


def test_there_is_one_test_for_each_kind_and_check(run):
    names = [*(check.name for check in all_checks()), "enough_checks_pass"]
    ids = [f"test_two[{kind}-{name}]" for kind in ("simple", "local/simple") for name in names]
    found = {name: outcome for name, outcome in run[0].items() if name.startswith("test_two")}
    assert sorted(found) == sorted(ids)
    assert set(found.values()) == {"PASSED"}


def test_a_failed_check_reports_the_usual_cause(run):
    found, printed = run
    assert found[f"test_all[forgetful-{CHUNKS}]"] == "FAILED"
    assert f"kind 'forgetful' fails {CHUNKS}" in printed
    assert "Usually: A value that is carried from step to step is not part of the state" in printed


def test_an_expected_failure_must_occur(run):
    found, printed = run
    assert found[f"test_expected[forgetful-{CHUNKS}]"] == "XFAIL"
    assert found[f"test_expected[simple-{CHUNKS}]"] == "FAILED"
    assert "it keeps its state, #7 (" in printed
    assert f"{CHUNKS} of kind 'simple' was expected to fail because of 'it keeps its state, #7', but passed" in printed


def test_checks_that_do_not_apply_are_skipped_with_a_reason(run):
    found, printed = run
    assert "SKIPPED" in printed
    assert "not applicable to 'simple'" in printed
    assert found.get("test_all[simple-executors_equal_step_loop]", "SKIPPED") == "SKIPPED"


@pytest.mark.parametrize("minimum", [None, len(all_checks())])
def test_too_few_passed_checks_fail(simple, monkeypatch, minimum):
    ran = itertools.count()
    monkeypatch.setattr("rnnkit.testing._parametrize.run_check", lambda check, _: _passes_at_first(check, next(ran)))
    [*_, enough] = [parameter.values[0] for parameter in parametrize_with_checks(simple, minimum=minimum).args[1]]
    if minimum is None:
        enough.run()
        return
    words = rf"{len(all_checks()) // 2} checks passed, at least {minimum} are required:\n{simple} "
    with pytest.raises(CheckFailedError, match=words):
        enough.run()


def _passes_at_first(check, number):
    """The result of a check, of which the first half pass."""
    return CheckResult(check, "passed" if number < len(all_checks()) // 2 else "not applicable")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"expected_failures": {"*": "all of it is wrong"}}, r"no check '\*'"),
        ({"expected_failures": {"chunks_equal_full_sequenc": "it is wrong"}}, "Did you mean 'chunks_equal_full_"),
        ({"expected_failures": {TWO[0]: ""}}, "must give a reason"),
        ({"expected_failures": {TWO[0]: "flaky"}}, "must give a reason"),
        ({"expected_failures": {TWO[0]: None}}, "must give a reason"),
        ({"expected_failures": dict.fromkeys(TWO, "not yet done")}, "a different reason"),
        ({"minimum": 1}, "half of the checks"),
        ({"minimum": 10_000}, "half of the checks"),
    ],
    ids=str,
)
def test_arguments_that_would_excuse_everything_are_errors(simple, arguments, message):
    with pytest.raises(ValueError, match=message):
        parametrize_with_checks(simple, **arguments)


def test_an_unknown_kind_is_one_error_at_collection():
    with pytest.raises(UnknownKindError, match="no_such_kind"):
        parametrize_with_checks("no_such_kind")


def test_each_check_runs_once(simple, monkeypatch):
    ran = []
    monkeypatch.setattr("rnnkit.testing._parametrize.run_check", lambda check, _: ran.append(check) or PASSED)
    tests = [parameter.values[0] for parameter in parametrize_with_checks(simple).args[1]]
    for test in [*tests, *tests]:
        test.run()
    assert ran == list(all_checks())


class PASSED:
    outcome = "passed"


# Imports


def test_rnnkit_is_not_a_pytest_plugin():
    groups = {entry.group for entry in distribution("rnnkit").entry_points}
    assert groups == {"rnnkit", "rnnkit.readouts", "rnnkit.tasks", "console_scripts"}


def test_rnnkit_does_not_import_the_kit():
    source = """
        import sys
        from rnnkit import *
        build_model(RecurrentSpec(kind="lstm_cell", input_size=2, hidden_size=2))
        print([name for name in sys.modules if name.startswith("rnnkit.testing")])
    """
    printed = subprocess.run([sys.executable, "-c", dedent(source)], check=True, capture_output=True, text=True).stdout
    assert printed == "[]\n"


def test_the_kit_works_without_pytest():
    source = """
        import sys
        sys.modules["pytest"] = None
        from rnnkit.testing import check_kind
        check_kind("gru", only=["chunks_equal_full_sequence"]).require()
    """
    subprocess.run([sys.executable, "-c", dedent(source)], check=True, capture_output=True)


def test_check_failed_error_is_an_rnnkit_error_and_an_assertion_error():
    assert issubclass(CheckFailedError, RnnkitError)
    assert issubclass(CheckFailedError, AssertionError)
