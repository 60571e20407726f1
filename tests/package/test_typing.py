"""Type checkers accept what users write, and refuse their mistakes."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER_CODE = ROOT / "tests/typing/user_code.py"
MISTAKES = ROOT / "tests/typing/mistakes.py"


def mypy(*paths):
    """The lines of each file in which mypy finds an error, with what it says."""
    output = run("mypy", "--strict", "--config-file", "pyproject.toml", "--output", "json", *paths)
    found = [json.loads(line) for line in output.splitlines()]
    return errors((error["file"], error["line"], error["message"]) for error in found if error["severity"] == "error")


def pyright(*paths):
    """The same from pyright."""
    found = json.loads(run("pyright", "--outputjson", *paths))["generalDiagnostics"]
    lines = ((error["range"]["start"]["line"] + 1, error) for error in found if error["severity"] == "error")
    return errors((error["file"], line, error["message"]) for line, error in lines)


def run(checker, *arguments):
    command = [sys.executable, "-m", checker, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # our own words
    assert done.returncode in {0, 1}, done.stdout + done.stderr  # 1: it found errors
    return done.stdout


def errors(found):
    """Return the findings as `{file: {line: message}}`."""
    by_file = {}
    for file, line, message in found:
        by_file.setdefault((ROOT / file).resolve(), {})[line] = message
    return by_file


@pytest.fixture(scope="module", params=[mypy, pyright], ids=["mypy", "pyright"])
def found(request):
    return request.param(USER_CODE, MISTAKES)


def test_what_users_write_has_no_error(found):
    assert found.get(USER_CODE, {}) == {}


def test_every_mistake_is_found_and_nothing_else(found):
    lines = MISTAKES.read_text(encoding="utf-8").splitlines()
    marked = {number: line for number, line in enumerate(lines, 1) if "# mistake: " in line}
    assert len(marked) > 40
    reported = found[MISTAKES]
    assert {number: lines[number - 1] for number in reported} == marked


def test_what_users_write_runs():
    assert runpy.run_path(str(USER_CODE))["model"].spec.kind == "lstm"
