"""The frame of the conformance kit: reports, one test for each promise, and no way to a green run that says nothing."""

import json
import subprocess
import sys
from importlib.metadata import distribution
from textwrap import dedent

import pytest
import torch
from torch.nn import functional as F

from rnnkit import Cell, CellState, RnnkitError, UnknownKindError, cell_kind, register_kind
from rnnkit.testing import Check, CheckFailedError, all_checks, check_kind, parametrize_with_checks
from rnnkit.testing.check_runner import run_check
from rnnkit.testing.kind_under_test import KindUnderTest


class Simple(Cell):
    """h_t = tanh(W x_t + U h_{t-1})."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)

    def project(self, x):
        return F.linear(x, self.weight_ih)

    def step(self, projected_t, state):
        h = torch.tanh(projected_t + F.linear(state.h, self.weight_hh))
        return h, CellState(h)


class Forgetful(Simple):
    """Keeps the state of the last call in itself."""

    def step(self, projected_t, state):
        before = getattr(self, "kept", state.h)
        h, _ = super().step(projected_t, CellState(before if before.shape == state.h.shape else state.h))
        self.kept = h.detach()
        return h, CellState(h)


@pytest.fixture
def simple():
    with register_kind(cell_kind(Simple, name="simple", summary="A test.")) as kind:
        yield kind.name


@pytest.fixture
def forgetful():
    with register_kind(cell_kind(Forgetful, name="forgetful", summary="A test.")) as kind:
        yield kind.name


TWO = ("two_halves_equal_the_whole", "step_equals_forward")

# The report


def test_a_report_has_every_promise_once_and_in_order(simple):
    results = check_kind(simple).results
    assert [each.check for each in results] == list(all_checks())
    assert len({each.check.name for each in results}) == len(results)


def test_the_order_is_the_same_whichever_module_was_imported_first():
    source = "import {}; from rnnkit.testing import all_checks; print([each.name for each in all_checks()])"
    for module in ("rnnkit.testing", "rnnkit.testing.checks.time", "rnnkit.testing.checks.transforms"):
        command = [sys.executable, "-c", source.format(module)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert printed.strip() == str([each.name for each in all_checks()])


def test_every_promise_says_what_it_is_and_what_is_usually_wrong():
    for promise in all_checks():
        assert promise.text.endswith("."), promise.name
        assert promise.cause.endswith("."), promise.name
        assert len(promise.name) <= 34, "a report has no room for a longer name"


def test_what_holds_is_reported_as_passed_with_what_was_measured(simple):
    report = check_kind(simple, only=TWO)
    assert report.kind == simple
    assert report.plugin is None
    assert [each.outcome for each in report.results] == ["passed", "passed"]
    assert report.passed == report.results
    assert all(0 <= each.figures["off by"] < 1e-12 and each.figures["cases"] >= 2 for each in report.results)
    report.require()


def test_what_is_wrong_is_reported_with_where_and_how(forgetful):
    report = check_kind(forgetful, only=TWO)
    assert report["two_halves_equal_the_whole"].outcome == "failed"
    reason = report["two_halves_equal_the_whole"].reason
    assert "the output and state of two halves [0] is" in reason
    assert "should be" in reason
    assert "with RecurrentSpec(kind='local/forgetful'" in reason
    assert report.failed
    with pytest.raises(CheckFailedError, match=r"(?s)'local/forgetful' breaks two_halves.*Usually: Something is"):
        report.require()


def test_what_a_kind_refuses_is_left_out_and_named(simple):
    report = check_kind(simple, only=TWO)
    assert any("bias=False: Simple has no choice" in each for each in report.results[0].left_out)
    assert "refused by the kind, and so not tried" in str(report)


def test_a_report_is_plain_data_too(forgetful, simple):
    for kind in (forgetful, simple):
        data = check_kind(kind, only=TWO).to_dict()
        assert json.loads(json.dumps(data, allow_nan=False)) == data
        assert [each["check"] for each in data["results"]] == list(TWO)


def test_a_report_knows_whose_the_kind_is():
    report = check_kind("rnnkit/gru", only=TWO)
    assert (report.kind, report.plugin) == ("gru", "rnnkit==" + report.versions["rnnkit"])
    assert report.versions["torch"] == torch.__version__


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_text_of_a_report_fits_its_width(width, forgetful):
    report = check_kind(forgetful)
    lines = report.text(width).splitlines()
    assert max(len(line) for line in lines if "RecurrentSpec(" not in line) <= width
    assert all(each.check.name in report.text(width) for each in report.results)


# Putting promises


def test_an_unknown_promise_is_refused_with_the_closest(simple):
    with pytest.raises(ValueError, match=r"no promise 'two_halfs_equal_the_whole'.* Did you mean 'two_halves_equal"):
        check_kind(simple, only=["two_halfs_equal_the_whole"])


@pytest.mark.parametrize("only", [["two_halves", "step_equals"], ["two_*", "*_forward"], [*TWO, "halves"]], ids=str)
def test_promises_are_chosen_by_a_part_of_their_names_or_a_pattern(simple, only):
    assert [each.check.name for each in check_kind(simple, only=only).results] == list(TWO)


def test_a_kind_that_nobody_provides_is_refused():
    with pytest.raises(UnknownKindError, match="nonsense"):
        check_kind("nonsense")


def test_a_kind_that_takes_none_of_the_sizes_says_so_and_takes_those_given():
    def check(spec):
        if spec.hidden_size != 60:
            yield "hidden_size", "must be 60"

    with register_kind(cell_kind(Simple, name="sixty", summary="A test.", check=check)) as kind:
        with pytest.raises(ValueError, match=r"takes none.*must be 60.*Give fields"):
            check_kind(kind.name)
        assert check_kind(kind.name, spec={"hidden_size": 60}, only=TWO).passed


def test_sizes_that_a_kind_takes_are_found():
    def check(spec):
        if spec.hidden_sizes[0] % 8:
            yield "hidden_size", "must be a multiple of 8"

    with register_kind(cell_kind(Simple, name="eight", summary="A test.", check=check)) as kind:
        assert len(check_kind(kind.name, only=TWO).passed) == 2


def test_a_promise_that_compares_nothing_is_not_kept(simple):
    empty = Check("empty", "numerics", "Nothing.", "", lambda trial: None)
    result = run_check(empty, KindUnderTest(simple))
    assert (result.outcome, result.reason) == ("failed", "empty compared nothing")


def test_whatever_a_kind_raises_is_what_comes_of_it(simple):
    def raising(trial):
        next(trial.cases())
        raise SystemError("out of order")

    result = run_check(Check("raising", "numerics", "Nothing.", "", raising), KindUnderTest(simple))
    assert result.outcome == "failed"
    assert result.reason.startswith("it raised SystemError: out of order\nwith RecurrentSpec(")


def test_the_random_numbers_of_the_caller_go_on_as_if_nothing_had_been(simple):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with torch.no_grad():
        check_kind(simple, only=TWO)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.rand(3), expected)


# In pytest


def outcomes(pytester_folder, source, *arguments):
    """The outcome of each test of a module, by its id, as pytest prints them."""
    (pytester_folder / "test_it.py").write_text(PREAMBLE + dedent(source))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", *arguments, "test_it.py"]
    done = subprocess.run(command, cwd=pytester_folder, capture_output=True, text=True, check=False)
    lines = [line.split(" ", 2) for line in done.stdout.splitlines() if " test_it.py::" in line]
    return {line[1].partition("::")[2]: line[0] for line in lines}, done.stdout


PREAMBLE = """
from tests.testing.test_kit import Forgetful, Simple
from rnnkit import cell_kind, register_kind
from rnnkit.testing import parametrize_with_checks

register_kind(cell_kind(Simple, name="simple", summary="A test."))
register_kind(cell_kind(Forgetful, name="forgetful", summary="A test."))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(__file__).rpartition("/tests/")[0])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def test_there_is_one_test_for_each_kind_and_promise(folder):
    found, _ = outcomes(
        folder,
        """
        @parametrize_with_checks("simple", "local/simple")
        def test_a_promise_is_kept(promise):
            if promise.name in ("two_halves_equal_the_whole", "each_layer_has_its_size"):
                promise.check()
        """,
    )
    names = [*(promise.name for promise in all_checks()), "enough_checks_pass"]
    ids = [f"test_a_promise_is_kept[{kind}-{name}]" for kind in ("simple", "local/simple") for name in names]
    assert sorted(found) == sorted(ids)
    assert set(found.values()) == {"PASSED"}


def test_a_broken_promise_fails_and_says_what_is_usually_wrong(folder):
    found, printed = outcomes(
        folder,
        """
        @parametrize_with_checks("forgetful")
        def test_it(promise):
            promise.check()
        """,
        "-k",
        "two_halves",
    )
    assert found == {"test_it[forgetful-two_halves_equal_the_whole]": "FAILED"}
    assert "two_halves_equal_the_whole of the kind 'forgetful'" in printed
    assert "Usually: Something is carried from step to step that is not in the state" in printed


@pytest.mark.parametrize(("name", "outcome"), [("forgetful", "XFAIL"), ("simple", "FAILED")])
def test_a_failure_that_is_expected_must_come(folder, name, outcome):
    found, printed = outcomes(
        folder,
        f"""
        @parametrize_with_checks("{name}", expected_failures={{"two_halves_equal_the_whole": "it keeps its state, #7"}})
        def test_it(promise):
            promise.check()
        """,
        "-k",
        "two_halves",
    )
    assert found == {f"test_it[{name}-two_halves_equal_the_whole]": outcome}
    assert "it keeps its state, #7" in printed


def test_what_is_not_applicable_is_skipped_with_its_reason(folder):
    found, printed = outcomes(
        folder,
        """
        @parametrize_with_checks("simple")
        def test_it(promise):
            promise.check()
        """,
        "-k",
        "fast_ways",
    )
    assert "SKIPPED" in printed
    assert "not applicable to 'simple'" in printed
    assert set(found.values()) <= {"SKIPPED"}


def test_too_few_promises_that_are_kept_fail_even_where_each_is_excused(folder):
    everything = len(all_checks())
    found, printed = outcomes(
        folder,
        f"""
        @parametrize_with_checks("simple", minimum={everything})
        def test_it(promise):
            promise.check()
        """,
        "-k",
        "enough",
    )
    assert found == {"test_it[simple-enough_checks_pass]": "FAILED"}
    assert f"but {everything} must be" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"expected_failures": {"*": "all of it is wrong"}}, r"no promise '\*'"),
        ({"expected_failures": {"two_halves_equal_the_whol": "it is wrong"}}, "Did you mean 'two_halves_equal_the_"),
        ({"expected_failures": {TWO[0]: ""}}, "must say why"),
        ({"expected_failures": {TWO[0]: "flaky"}}, "must say why"),
        ({"expected_failures": {TWO[0]: None}}, "must say why"),
        ({"expected_failures": dict.fromkeys(TWO, "not yet done")}, "reason of its own"),
        ({"minimum": 1}, "half of the promises"),
        ({"minimum": 10_000}, "half of the promises"),
    ],
    ids=str,
)
def test_what_would_make_a_green_run_mean_nothing_is_refused(simple, arguments, message):
    with pytest.raises(ValueError, match=message):
        parametrize_with_checks(simple, **arguments)


def test_a_kind_that_is_not_there_is_one_error_and_not_one_for_each_promise():
    with pytest.raises(UnknownKindError, match="no_such_kind"):
        parametrize_with_checks("no_such_kind")


def test_each_promise_is_put_once_however_often_it_is_asked_for(simple, monkeypatch):
    put_to = []
    monkeypatch.setattr(
        "rnnkit.testing.pytest_checks.run_check", lambda promise, subject: put_to.append(promise) or PASSED
    )
    tests = [parameter.values[0] for parameter in parametrize_with_checks(simple).args[1]]
    for test in [*tests, *tests]:
        test.check()
    assert put_to == list(all_checks())


class PASSED:
    outcome = "passed"


# What it costs who does not ask for it


def test_rnnkit_has_no_plugin_for_pytest():
    groups = {entry.group for entry in distribution("rnnkit").entry_points}
    assert groups == {"rnnkit", "console_scripts"}


def test_nothing_imports_the_kit_that_does_not_ask_for_it():
    source = """
        import sys
        from rnnkit import *
        build_model(RecurrentSpec(kind="lstm_cell", input_size=2, hidden_size=2))
        print([name for name in sys.modules if name.startswith("rnnkit.testing")])
    """
    printed = subprocess.run([sys.executable, "-c", dedent(source)], check=True, capture_output=True, text=True).stdout
    assert printed == "[]\n"


def test_the_kit_does_not_need_pytest():
    source = """
        import sys
        sys.modules["pytest"] = None
        from rnnkit.testing import check_kind
        check_kind("gru", only=["two_halves_equal_the_whole"]).require()
    """
    subprocess.run([sys.executable, "-c", dedent(source)], check=True, capture_output=True)


def test_a_broken_promise_is_an_error_of_rnnkit_and_a_failed_assertion():
    assert issubclass(CheckFailedError, RnnkitError)
    assert issubclass(CheckFailedError, AssertionError)
