"""The adapters in `docs/examples`, installed together in a fresh environment.

Nothing is downloaded: the fresh environment finds what the running one has installed, rnnkit and its kinds included.
"""

import re
import shutil

import pytest

from tests.helpers.environments import Environment
from tests.helpers.pages import EXAMPLES, blocks_of

ADAPTERS = ["rnnkit-ncps", "rnnkit-torchrecurrent"]
# the checks of compiled and exported models take minutes for each kind: they run for `ltc` and for `atr`
EXPENSIVE = "(nas or tlstm) and (compiles or exports or onnx or ddp or enough_checks)"


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Copies, so that a build leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("adapters")
    ignored = shutil.ignore_patterns("__pycache__", "build", "dist")
    return {name: shutil.copytree(EXAMPLES / name, folder / name, ignore=ignored) for name in ADAPTERS}


@pytest.fixture(scope="module")
def installed(tmp_path_factory, examples):
    environment = Environment(tmp_path_factory.mktemp("environment"))
    environment.pip("install", "--no-deps", "--no-build-isolation", "--no-index", *examples.values())
    return environment


def test_kinds_of_both_adapters_are_listed(installed):
    kinds = installed.code("import rnnkit; print(*rnnkit.list_kinds('rnnkit-*/*'))").split()
    assert "rnnkit-ncps/ltc" in kinds
    assert sum(kind.startswith("rnnkit-torchrecurrent/") for kind in kinds) == 23


@pytest.mark.parametrize(("name", "least"), [("rnnkit-ncps", 65), ("rnnkit-torchrecurrent", 205)])
def test_tests_of_the_adapter_pass(installed, examples, name, least):
    passed = installed.pytest("-W", "error", "-k", f"not (test_conformance and {EXPENSIVE})", examples[name] / "tests")
    assert passed >= least


@pytest.mark.parametrize("name", ADAPTERS)
def test_readme_of_the_adapter_runs_with_the_shown_output(installed, examples, name):
    blocks = [block for block in blocks_of(examples[name] / "README.md") if block[0] == "python"]
    assert "build_model" in blocks[0][1]
    printed = installed.code("".join(code for _, code, _ in blocks))
    assert printed == "".join(shown for _, _, shown in blocks)


@pytest.mark.parametrize("name", ADAPTERS)
def test_readme_has_the_number_of_kinds(examples, name):
    entry_points = re.findall(
        r'^\w+ = "rnnkit_\w+"$', (examples[name] / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    numbers = re.findall(r"(\d+) cells", (examples[name] / "README.md").read_text("utf-8"))
    assert len(entry_points) == int(numbers[0] if numbers else 1)
