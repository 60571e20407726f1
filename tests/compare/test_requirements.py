"""Without a package of the extra `compare`, errors say what to install."""

import re

import pytest

from rnnkit.compare import Comparison, compare, requirements, tasks
from rnnkit.errors import CompareError
from tests.compare.results import result
from tests.helpers.commands import run

HINT = 'run pip install "rnnkit[compare]"'


def compared(**arguments):
    compare(["gru"], [tasks.adding(6)], **arguments)


@pytest.mark.parametrize(
    ("package", "call", "what"),
    [
        ("joblib", lambda _: compared(engine="here"), "A comparison"),
        ("rich", lambda _: compared(engine="here"), "A comparison"),
        ("optuna", lambda _: compared(engine="here", search=1), "A comparison"),
        ("cloudpickle", lambda _: compared(engine="loky"), "A comparison"),
        ("pandas", lambda _: Comparison([result()]).to_pandas(), "A data frame"),
        ("pandas", lambda _: Comparison([result()]).curves(), "A data frame"),
        ("matplotlib", lambda _: Comparison([result()]).plot(), "A figure"),
        ("matplotlib", lambda _: Comparison([result()]).plot_scores(), "A figure"),
        ("matplotlib", lambda folder: Comparison([result()]).to_html(folder / "a.html"), "A report"),
        ("jinja2", lambda folder: Comparison([result()]).to_html(folder / "a.html"), "A report"),
    ],
)
def test_a_package_that_is_missing_is_named(package, call, what, tmp_path, monkeypatch):
    without(package, monkeypatch)
    with pytest.raises(CompareError, match=re.escape(f"{what} needs {package!r}: {HINT}")):
        call(tmp_path)


def without(package, monkeypatch):
    found = requirements.find_spec
    monkeypatch.setattr(requirements, "find_spec", lambda name: None if name == package else found(name))


def test_the_command_checks_the_packages_of_its_report_before_it_trains(tmp_path, monkeypatch):
    without("matplotlib", monkeypatch)
    monkeypatch.setattr("rnnkit.compare.compare", lambda *_, **__: pytest.fail("it trains"))
    done = run("compare", "--kinds", "gru", "--tasks", "adding(6)", "--out", tmp_path)
    assert done.exit_code == 1
    assert f"A report needs 'matplotlib': {HINT}" in " ".join(done.stderr.split())
