"""A tutorial does what it says: each command in its order, in an environment of its own, from an empty directory."""

import ast
import re

import pytest

from tests.helpers.environments import Environment
from tests.helpers.pages import TYPED, assert_shown, blocks_of, commands_of
from tests.helpers.shell import Typed

FILE = re.compile(r"# ([\w/-]+\.py)(, in part)?\n")


@pytest.mark.parametrize("page", TYPED, ids=lambda page: page.name)
def test_tutorial_runs_with_the_shown_output(page, tmp_path):
    environment = Environment(tmp_path / "environment", scripts=("rnnkit", "pytest"))
    folder = tmp_path / "empty"
    folder.mkdir()
    for language, code, _ in blocks_of(page):
        if language == "python":
            write(folder, code)
        elif language == "console":
            folder = type_into_shell(environment, code, folder)


def type_into_shell(environment, block, folder):
    """Type the commands of a block; the folder in which the last one leaves the shell."""
    commands, wanted = commands_of(block)
    printed, folder = environment.shell(commands, folder)
    for command, want, got in zip(commands, wanted, printed, strict=True):
        assert_shown(command, want, got)
    return folder


def write(folder, code):
    """Write a file that a page shows, or the functions of one that it shows in part."""
    name, in_part = FILE.match(code).groups()
    file, shown = folder / name, FILE.sub("", code, count=1)
    assert file.exists(), f"{name} is not one of the files that are there"
    file.write_text(with_functions_of(file.read_text("utf-8"), shown) if in_part else shown, encoding="utf-8")


def with_functions_of(text, part):
    """A module with the functions of a part of it, each of which replaces the function of its name."""
    lines, places = text.splitlines(), functions_of(text)
    new_lines = part.splitlines()
    for name, (start, end) in reversed(functions_of(part).items()):
        first, last = places[name]
        lines[first:last] = new_lines[start:end]
    return "\n".join(lines) + "\n"


def functions_of(text):
    """The lines of each function of a module, by its name with that of its class, in the order in which they stand."""
    found = {}
    for node in ast.parse(text).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        functions = [each for each in members if isinstance(each, ast.FunctionDef)]
        found |= {prefix + each.name: (each.lineno - 1, each.end_lineno) for each in functions}
    return found


def test_runs_longer_than_a_minute_are_as_shown():
    shown = "66 passed, 4 skipped in 11.60s\n"
    assert_shown("pytest -q", shown, Typed(printed="66 passed, 4 skipped in 102.33s (0:01:42)\n", status=0))
