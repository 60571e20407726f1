"""Commands import only the modules that they need."""

import json

import pytest

from rnnkit.cli.group import SUMMARIES, module_of
from tests.helpers.commands import run_process

HEAVY = {"numpy", "pluggy", "pydantic", "torch", "yaml"}
# prints as JSON, below what the command itself prints, which modules were there when it had ended
RECORD = """
import atexit, json, sys
atexit.register(lambda: print("\\n" + json.dumps(sorted(sys.modules)), file=sys.stderr))
from rnnkit.__main__ import main
main()
"""


def modules_imported(*arguments, **environment):
    done = run_process(*arguments, code=RECORD, **environment)
    return set(json.loads(done.stderr.splitlines()[-1]))


def command_modules(modules):
    """The commands whose modules are among some modules."""
    return [name for name in SUMMARIES if module_of(name) in modules]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "--json"],
        ["list", "no_such_kind"],
        ["why", "lstm"],
        ["why", "no_such_kind"],
        *([name, "--help"] for name in SUMMARIES),
        ["no_such_command"],
    ],
    ids=" ".join,
)
def test_light_commands_import_nothing_heavy(arguments):
    assert HEAVY.isdisjoint(modules_imported(*arguments))


@pytest.mark.parametrize("words", ["rnnkit ", "rnnkit show ", "rnnkit doctor ", "rnnkit validate m"])
def test_completion_imports_nothing_heavy(words):
    environment = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_RNNKIT_COMPLETE": "bash_complete"}
    assert HEAVY.isdisjoint(modules_imported(**environment))


def test_help_imports_no_command():
    assert command_modules(modules_imported("--help")) == []


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_command_imports_no_other(name):
    assert command_modules(modules_imported(name, "--help")) == [name]
