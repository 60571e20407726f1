"""CONTRIBUTING.md describes the repository as it is."""

import re

from tests.helpers.pages import ROOT
from tests.helpers.slow import SLOW

SUBPACKAGES = {path.parent.name for path in (ROOT / "registry/rnnkit").glob("*/__init__.py")}


def section(title):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [found] = re.findall(rf"^#+ {title}\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE)
    return found


def test_slow_tests_are_named():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    missing = [path for path in {pattern.partition("::")[0] for pattern in SLOW} if f"`{path}`" not in text]
    assert missing == []


def test_targets_of_the_makefile_are_named():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"^\$ make ([a-z-]+) .*# ", section("Contributing"), re.MULTILINE)
    assert sorted(named) == sorted({*targets} - {"mypy", "pyright"})  # which are `make types`


def test_layout_names_every_subpackage():
    assert re.findall(r"^\| `(\w+)` \|", section("Layout"), re.MULTILINE)
    assert set(re.findall(r"^\| `(\w+)` \|", section("Layout"), re.MULTILINE)) == SUBPACKAGES


def test_mutation_tests_name_subpackages():
    names = re.findall(r"^\| `(\w+)`", section("Mutation tests"), re.MULTILINE)
    assert names
    assert set(names) <= SUBPACKAGES
