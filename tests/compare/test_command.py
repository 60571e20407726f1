"""The command `rnnkit compare`: what it shows, and its errors."""

import json

import pytest

from rnnkit.compare import Comparison
from tests.compare.results import seeds
from tests.helpers.commands import run, run_process
from tests.helpers.plugins_on_disk import DECAY_CELL

CONDITIONS = "--steps 3 --seeds 1 --layers 1 --parameters 200 --engine here"
QUICK = ["--tasks", "adding(length=6)", *CONDITIONS.split()]


def words(text):
    return " ".join(text.split())


@pytest.mark.slow
def test_the_table_and_the_files(tmp_path):
    done = run("compare", "--kinds", "gru", *QUICK, "--out", tmp_path)
    assert done.exit_code == 0
    assert "gru" in done.stdout
    assert f"Wrote {tmp_path}" in done.stderr
    (result,) = Comparison.load(tmp_path / "results.json").results
    assert (tmp_path / "report.html").exists()
    again = run("compare", "--kinds", "gru", *QUICK, "--out", tmp_path, "--json")
    assert json.loads(again.stdout)[0]["score"] == result.score


def test_the_change_since_an_older_comparison(tmp_path):
    run("compare", "--kinds", "gru", *QUICK, "--out", tmp_path)
    done = run("compare", "--kinds", "gru", *QUICK, "--against", tmp_path / "results.json")
    assert "Change of the median" in done.stdout


def test_a_comparison_with_something_else_shows_its_table_before_the_error(tmp_path):
    Comparison(seeds("other", 0.1)).save(tmp_path / "older.json")
    done = run("compare", "--kinds", "gru", *QUICK, "--against", tmp_path / "older.json")
    assert done.exit_code == 1
    assert "chance" in done.stdout
    assert "no label and task in common" in words(done.stderr)


@pytest.fixture
def data(tmp_path):
    """A table with a column of text, and a target of many integers."""
    rows = [f"{group},{step},{step / 7},north,{3 * group + step}" for group in range(20) for step in range(4)]
    (tmp_path / "my.csv").write_text("\n".join(["id,t,x,site,y", *rows]))
    return ["--data", tmp_path / "my.csv", "--target", "y", "--group", "id", "--time", "t", *CONDITIONS.split()]


def test_a_table_with_text_and_many_integers(data):
    done = run("compare", "--kinds", "gru", *data, "--features", "x", "--problem", "regression", width=200)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "my.csv(y, " in done.stdout
    assert "NRMSE" in done.stdout


def test_the_status_is_1_if_no_run_has_a_score(plugins):
    register = "@hookimpl\ndef register_kinds(register):\n    register(decay_kind('decay'))\n"
    source = DECAY_CELL.replace(
        "h = self.decay * state.h + x_t @ self.weight_ih.t()", "raise RuntimeError('no step today')"
    )
    assert source != DECAY_CELL
    plugins.install("decay", source=f"{source}\n\n{register}", distribution="rnnkit-acme")
    some = run("compare", "--kinds", "gru,rnnkit-acme/decay", *QUICK)
    none = run("compare", "--kinds", "rnnkit-acme/decay", *QUICK)
    as_json = run("compare", "--kinds", "rnnkit-acme/decay", *QUICK, "--json")
    assert (some.exit_code, none.exit_code, as_json.exit_code) == (0, 1, 1)
    assert "no step today" in words(none.stdout)
    assert "Error: No run has a score" in words(none.stderr)
    assert json.loads(as_json.stdout)[0]["status"] == "failed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "leave it out by features="),
        (["--features", "x"], "say whether they are classes or a quantity, by problem="),
    ],
)
def test_errors_of_a_table_name_arguments_that_are_options_too(arguments, message, data):
    done = run("compare", "--kinds", "gru", *data, *arguments)
    assert message in words(done.stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kinds", ","], "kinds=[] is empty: name at least one"),
        (["--kinds", "gru", "--target", "y"], "--target, --group, --time, --features and --problem need --data"),
        (["--kinds", "gru", "--time", "t"], "--target, --group, --time, --features and --problem need --data"),
        (["--kinds", "gru", "--against", "a.json", "--json"], "--json has no table: leave out --against"),
        (["--kinds", "gru", "--budget", "1d"], "'1d' is not a duration"),
        (["--kinds", "gru", "--budget", "9" * 400], "is not a duration"),
        (["--kinds", "gru", "--against", "no.json"], "no.json: No such file or directory"),
    ],
)
def test_errors(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("compare", *arguments, *QUICK)
    assert done.exit_code != 0
    assert message in words(done.stderr)
    assert done.stdout == ""


@pytest.mark.slow
def test_a_terminal_without_unicode_shows_lines_and_arrows():
    done = run_process("compare", "--kinds", "gru", *QUICK, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode("ascii").splitlines()
    assert "NRMSE v" in lines[0]
    assert set(lines[1]) == {"-"}
    assert "\\u" not in done.stdout.decode("ascii")
