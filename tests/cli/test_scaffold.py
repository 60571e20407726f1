"""The project of a new plugin passes its tests, and invalid names leave nothing behind."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidName, canonicalize_name

from rnnkit import CellState, register_kind
from rnnkit.cli.scaffold import _project, write_folder
from rnnkit.testing import all_checks
from tests.cli.test_startup import HEAVY, modules_imported
from tests.helpers.commands import run
from tests.helpers.environments import WITHOUT_COMPILED, Environment
from tests.helpers.models import small_spec

ROOT = Path(__file__).parents[2]
LONG = "n" * 100
# NAME and --kind; what the module, the kind and the classes are called
NAMES = {
    ("rnnkit-leaky", None): ("rnnkit_leaky", "rnnkit-leaky/leaky", "Leaky"),
    ("my-cells", None): ("my_cells", "my-cells/my_cells", "MyCells"),
    ("my-gru", "myGRU"): ("my_gru", "my-gru/myGRU", "MyGRU"),
    ("My.Cells__2", "Echo"): ("my_cells_2", "my-cells-2/Echo", "Echo"),
    ("RNNkit_two.words", None): ("rnnkit_two_words", "rnnkit-two-words/two_words", "TwoWords"),
    ("rnnkit-2x", "twice_2x"): ("rnnkit_2x", "rnnkit-2x/twice_2x", "Twice2x"),
    ("z", None): ("z", "z/z", "Z"),
    (LONG, "k" * 64): (LONG, f"{LONG}/{'k' * 64}", "K" + "k" * 63),
}
each_name = pytest.mark.parametrize(("name", "chosen"), NAMES, ids=[name[:12] for name, _ in NAMES])


def new_plugin(parent, name, kind=None):
    arguments = [] if kind is None else ["--kind", kind]
    return run("new-plugin", "--directory", parent, *arguments, "--", name)


def written(parent, name, kind=None):
    """The folder of a new plugin."""
    result = new_plugin(parent, name, kind)
    assert result.exit_code == 0, result.output
    return parent / name


def contents(folder):
    """The files in a folder, with what stands in them."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def metadata(folder):
    """Return the `project` table of a plugin's `pyproject.toml`."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def record_of(module):
    """The record that the hook in the file of a plugin registers."""
    spec = spec_from_file_location(module.stem, module)
    imported = module_from_spec(spec)
    with patch.dict(sys.modules, {module.stem: imported}):  # where its annotations are looked up
        spec.loader.exec_module(imported)
    records = []
    imported.register_kinds(records.append)
    [record] = records
    return record


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """A folder with a new plugin of each name."""
    parent = tmp_path_factory.mktemp("projects")
    for name, kind in NAMES:
        written(parent, name, kind)
    return parent


# In an environment of its own


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    return written(tmp_path_factory.mktemp("leaky"), "rnnkit-leaky")


@pytest.fixture(scope="module")
def installed(tmp_path_factory, leaky):
    """A fresh environment in which the plugin is installed as the command says."""
    environment = Environment(tmp_path_factory.mktemp("environment"))
    environment.pip("install", "--no-deps", "--no-index", "--no-build-isolation", "-e", f"{leaky}[test]")
    return environment


def test_generated_tests_pass(installed, leaky):
    """The tutorial "Write a plugin" runs them with the checks that compile and export."""
    assert installed.pytest("-k", WITHOUT_COMPILED, folder=leaky) > len(all_checks()) / 2


def test_generated_kind_is_listed(installed):
    assert "rnnkit-leaky/leaky" in installed.code("import rnnkit; print(*rnnkit.list_kinds())").split()


def test_generated_readme_runs(installed, leaky):
    readme = (leaky / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert installed.code(code + "print(model.spec.kind, *y.shape)") == "rnnkit-leaky/leaky 3 5\n"


def test_a_wheel_with_dashes_and_dots_holds_its_module_and_nothing_else(installed, projects, tmp_path):
    folder = projects / "My.Cells__2"
    installed.pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path, folder)
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if ".dist-info/" not in name] == ["my_cells_2.py"]


# Contents of the project


@each_name
def test_names_derive_from_the_distribution(name, chosen, projects):
    module, full_kind, prefix = NAMES[name, chosen]
    folder, bare = projects / name, full_kind.rpartition("/")[2]
    assert metadata(folder)["name"] == name
    assert metadata(folder)["entry-points"] == {"rnnkit": {bare: module}}
    record = record_of(folder / f"{module}.py")
    assert [record.name, record.cell.__name__, record.options.__name__] == [bare, f"{prefix}Cell", f"{prefix}Options"]
    test = (folder / f"tests/test_{module}.py").read_text(encoding="utf-8")
    assert re.findall(r'^KIND = "(.*)"$', test, re.MULTILINE) == [full_kind]


@each_name
def test_no_placeholder_is_left(name, chosen, projects):
    files = contents(projects / name)
    assert len(files) == 6
    assert [path for path, content in files.items() if "%" in path + content.decode()] == []
    assert [path for path, content in files.items() if b"\r" in content or not content.endswith(b"\n")] == []


def test_step_matches_torch(projects):
    """One that replaces the whole state is a step of torch's RNN; any other goes that part of the way to it."""
    cell = record_of(projects / "z/z.py").cell(3, 4, leak=0.3)
    theirs = torch.nn.RNNCell(3, 4)
    theirs.load_state_dict(
        {"weight_ih": cell.weight_ih, "weight_hh": cell.weight_hh, "bias_ih": cell.bias, "bias_hh": torch.zeros(4)}
    )
    x_t, h = torch.randn(5, 3), torch.randn(5, 4)
    output, state = cell(x_t, CellState(h))
    torch.testing.assert_close(output, torch.lerp(h, theirs(x_t, h), 0.3))
    assert torch.equal(state.h, output)


@pytest.mark.parametrize("leak", [0, 1.5, -0.5, float("nan"), "0.5", True])
def test_option_is_validated(leak, projects):
    with (
        register_kind(record_of(projects / "z/z.py")) as local,
        pytest.raises(ValueError, match=r"(?m)^options\.leak$"),
    ):
        small_spec(local.name, options={"leak": leak})


def test_generated_code_passes_ruff(projects):
    """By what it takes for granted, in how it formats, and with the rules of this repository."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    ignored = ",".join([*ours["ignore"], "D", "E501", "INP001", "S101"])  # in tests, and of long names
    for arguments in (["check"], ["format", "--check"], ["check", "--select", "ALL", "--ignore", ignored]):
        printed_by("ruff", *arguments, "--no-cache", ".", folder=projects)


def test_generated_code_passes_mypy(projects):
    files = sorted(projects.rglob("*.py"))
    # with the options of `make types`, whose cache has torch already
    options = ["--strict", "--untyped-calls-exclude", "torch", "--cache-dir", ROOT / ".mypy_cache"]
    printed = printed_by("mypy", *options, *files, folder=projects)
    assert f"in {2 * len(NAMES)} source files" in printed


def printed_by(tool, *arguments, folder):
    """Run a tool, which must succeed, and return its output."""
    command = [sys.executable, "-m", tool, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("running", "wanted"),
    [
        ("0.1.0", "0.1"),
        ("1.12.3", "1.12"),
        ("2.0", "2.0"),
        ("0.2.0rc1", "0.2.0rc1"),
        ("0.2.0.dev3+local", "0.2.0.dev3"),
        ("0.2.0+local.1", "0.2"),
    ],
)
def test_plugin_requires_the_current_rnnkit(running, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(_project, "__version__", running)
    [requirement, *_] = metadata(written(tmp_path, "my-cells"))["dependencies"]
    assert requirement == f"rnnkit>={wanted}"
    assert SpecifierSet(requirement.removeprefix("rnnkit")).contains(running, prereleases=True)


def test_plugin_requires_its_imports(projects):
    described = metadata(projects / "z")
    required = {
        requirement.name: requirement
        for requirement in map(Requirement, [*described["dependencies"], *described["optional-dependencies"]["test"]])
    }
    imported = re.findall(r"^(?:import|from) (\w+)", (projects / "z/z.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(imported) - sys.stdlib_module_names <= set(required)
    assert [name for name, each in required.items() if version(name) not in each.specifier] == []


def test_plugin_ci_uses_the_python_versions_of_rnnkit(projects):
    theirs, ours = (
        yaml.safe_load((folder / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
        for folder in (projects / "z", ROOT)
    )
    assert theirs["tests"]["strategy"]["matrix"] == ours["all"]["strategy"]["matrix"]
    assert {"with": {"python-version": "${{ matrix.python }}"}}.items() <= theirs["tests"]["steps"][1].items()


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_templates_are_in_the_distributions(target, tmp_path):
    printed_by("hatchling", "build", "--target", target, "--directory", tmp_path, folder=ROOT)
    [built] = tmp_path.iterdir()
    unpacked = tmp_path / "unpacked"
    shutil.unpack_archive(built, unpacked, "zip" if target == "wheel" else None)
    templates = {file.name for file in (ROOT / "registry/rnnkit/cli/scaffold/template").iterdir()}
    assert len(templates) == 6
    assert {file.name for file in unpacked.glob("**/scaffold/template/*")} == templates


# Output of the command


def test_printed_files_exist(tmp_path):
    facts = json.loads(run("new-plugin", "my-cells", "--kind", "echo", "--directory", tmp_path, "--json").stdout)
    folder = tmp_path / "my-cells"
    assert {each["file"] for each in facts.pop("files")} == set(contents(folder))
    assert facts == {
        "distribution": "my-cells",
        "kind": "my-cells/echo",
        "module": "my_cells",
        "folder": str(folder),
    }


def test_next_steps_run(tmp_path):
    """Into a shell, up to where packages would be fetched."""
    parent = tmp_path / "a folder; echo no"
    parent.mkdir()
    shown = new_plugin(parent, "my-cells").stdout
    lines = shown[shown.index("  cd ") :].splitlines()
    assert [line.strip() for line in lines[-3:]] == [
        'pip install -e ".[test]"',
        "pytest",
        "rnnkit show my-cells/my_cells",
    ]
    script = "\n".join(["set -e", *lines[:-3], "pwd", 'echo "$VIRTUAL_ENV"'])
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(parent / "my-cells"), str(parent / "my-cells/.venv")]


@pytest.mark.parametrize("name", ["rnnkit-leaky", "torch", "numpy", "x y"])
def test_nothing_heavy_is_imported(name, tmp_path):
    assert HEAVY.isdisjoint(modules_imported("new-plugin", name, "--directory", tmp_path))


# Refused


def refused(parent, name, kind=None):
    """The exit status of a refusal, and its lines; nothing was written."""
    before = sorted(parent.rglob("*")), contents(parent)
    result = new_plugin(parent, name, kind)
    assert (sorted(parent.rglob("*")), contents(parent)) == before
    assert result.stdout == ""
    return result.exit_code, result.stderr.splitlines()


@pytest.mark.parametrize(
    ("status", "name", "chosen", "said"),
    [
        (2, "", None, "'' is not a valid distribution name"),
        (2, "a b", None, "'a b' is not a valid distribution name"),
        (2, "../up", None, "'../up' is not a valid distribution name"),
        (2, "local", None, "The distribution name 'local' is reserved"),
        (2, "Unknown", None, "The distribution name 'Unknown' is reserved"),
        (
            2,
            "class",
            "mine",
            "'class' is not a valid module name in Python",
        ),
        (
            2,
            "2fast",
            "mine",
            "'2fast' is not a valid module name in Python",
        ),
        (2, "AUX", "cells", "'aux.py' is a device on Windows, which has no such file: choose another NAME"),
        (2, "cells", "com1", "The kind name 'com1' is the name of a device on Windows"),
        (2, "conftest", None, "'conftest.py' has a special meaning for pytest or pip"),
        (1, "json", None, "A module 'json' is already installed, and one of the two would shadow the other"),
        (1, "Random", None, "A module 'random' is already installed"),
        (1, "rnnkit.builtin", None, "A module 'rnnkit_builtin' is already installed"),
        (1, "torch", None, "A distribution 'torch' is already installed"),
        (1, "PyDantic", None, "A distribution 'PyDantic' is already installed"),
        (2, "cells", "lambda", "The kind name 'lambda' is a Python keyword"),
        (2, "rnnkit-class", None, "The kind name 'class' is a Python keyword"),
        (
            2,
            "rnnkit-2x",
            None,
            "The kind name '2x' does not consist of letters, digits and underscores, starting with a letter",
        ),
        (2, "cells", "", "The kind name '' does not consist of"),
        (2, "cells", "_x", "The kind name '_x' does not consist of"),
        (2, "cells", "a-b", "The kind name 'a-b' does not consist of"),
        (2, "cells", "größe", "The kind name 'größe' does not consist of"),
        (2, "cells", "a\n", "The kind name 'a\\n' does not consist of"),
        (2, "cells", "k" * 65, f"The kind name '{'k' * 65}' has 65 characters, more than 64"),
        (2, "rnnkit-stack", None, "The kind name 'stack' would give a class the name StackOptions, which rnnkit has"),
        (1, "rnnkit-lstm", None, "The kind name 'lstm' is reserved"),
    ],
)
def test_invalid_name_is_rejected_in_one_line(status, name, chosen, said, tmp_path):
    got, [line] = refused(tmp_path, name, chosen)
    assert line.startswith(f"Error: {said}")
    assert re.search(r": (choose another NAME|choose another name with --kind)\b", line)
    assert got == status


@pytest.mark.parametrize(
    "name", ["a", "a.-_b", "A9", "-a", "a-", "a\n", "größe", "\u212aelvin", "a b", "a/b", ".", ".."]
)
def test_distribution_names_match_packaging(name, tmp_path):
    try:
        canonicalize_name(name, validate=True)
    except InvalidName:
        assert refused(tmp_path, name)[0] == 2
    else:
        assert metadata(written(tmp_path, name))["name"] == name


def test_installed_distribution_is_taken_in_any_spelling(tmp_path, plugins):
    plugins.install("echo", distribution="echo-cells")
    folder = tmp_path / "here"
    folder.mkdir()
    status, [line] = refused(folder, "Echo.Cells", "echo")
    assert (status, plugins.imported()) == (1, [])
    assert line.startswith("Error: A distribution 'Echo.Cells' is already installed")


@pytest.mark.parametrize("policy", ["RNNKIT_NOTHING=", "RNNKIT_BLOCK_PLUGINS=echo-cells", "RNNKIT_STRICT_PLUGINS=1"])
def test_providers_of_a_taken_kind_are_named(policy, tmp_path, plugins, monkeypatch):
    plugins.install("echo", distribution="echo-cells", source="raise RuntimeError")
    plugins.install("echo", distribution="more-cells")
    variable, _, value = policy.partition("=")
    monkeypatch.setenv(variable, value)
    folder = tmp_path / "here"
    folder.mkdir()
    status, [line] = refused(folder, "rnnkit-echo")
    assert (status, plugins.imported()) == (1, [])
    assert line.startswith("Error: The kind 'echo' is already provided by 'echo-cells' and 'more-cells'")
    assert written(folder, "rnnkit-echo", "another").is_dir()


def occupied_by_a_file(path):
    path.write_text("mine")


def occupied_by_a_folder(path):
    path.mkdir()


def occupied_by_a_full_folder(path):
    path.mkdir()
    (path / "pyproject.toml").write_text("mine")


def occupied_by_a_link_to_nowhere(path):
    path.symlink_to("nowhere")


occupied = pytest.mark.parametrize(
    "occupy",
    [occupied_by_a_file, occupied_by_a_folder, occupied_by_a_full_folder, occupied_by_a_link_to_nowhere],
    ids=lambda occupy: occupy.__name__,
)


@occupied
@pytest.mark.parametrize("name", ["my-cells", "My-Cells"])
def test_existing_files_are_not_overwritten(name, occupy, tmp_path):
    occupy(tmp_path / name)
    status, [line] = refused(tmp_path, "my-cells")
    assert status == 1
    assert line.startswith(f"Error: {tmp_path / name} already exists, and nothing is overwritten")


@pytest.mark.parametrize("occupy", [lambda path: None, occupied_by_a_file], ids=["missing", "a_file"])
def test_parent_must_be_a_directory(occupy, tmp_path):
    occupy(tmp_path / "parent")
    result = new_plugin(tmp_path / "parent", "my-cells")
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {tmp_path / 'parent'} is not a directory: create it, or choose another --directory\n"
    )


def test_all_problems_are_reported(tmp_path):
    occupied_by_a_file(tmp_path / "Torch")
    status, lines = refused(tmp_path, "torch", "lstm")
    assert (status, [line.split()[1] for line in lines]) == (1, ["A", "The", str(tmp_path / "Torch")])
    result = new_plugin(tmp_path / "nowhere", "a b", "lambda")
    assert (result.exit_code, result.stderr.count("Error: ")) == (2, 3)


# Wholly or not at all


class Interrupting(dict):
    """Files to write, of which something happens when half of them are written."""

    def __init__(self, happens):
        super().__init__({"one.txt": "1", "folder/two.txt": "2", "three.txt": "3"})
        self.happens = happens

    def items(self):
        first, *others = super().items()
        yield first
        self.happens()
        yield from others


def stop():
    raise KeyboardInterrupt


def test_interrupt_leaves_nothing_behind(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "new", Interrupting(stop))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "files", [{"a": "1", "a/b": "2"}, {"a": "1", "n" * 300: "2"}], ids=["under_a_file", "too_long"]
)
def test_write_error_leaves_nothing_behind(files, tmp_path):
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "new"))):
        write_folder(tmp_path / "new", files)
    assert list(tmp_path.iterdir()) == []


def test_removed_parent_is_not_recreated(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "gone/new"))):
        write_folder(tmp_path / "gone/new", {"one.txt": "1"})
    assert list(tmp_path.iterdir()) == []


def test_one_of_many_concurrent_writers_wins(tmp_path):
    start, written, refused = threading.Barrier(8), [], []

    def write(number):
        start.wait()
        try:
            write_folder(tmp_path / "new", {f"{each}.txt": str(number) for each in range(20)})
        except FileExistsError:
            refused.append(number)
        else:
            written.append(number)

    threads = [threading.Thread(target=write, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = written
    assert len(refused) == 7
    assert set(contents(tmp_path / "new").values()) == {str(winner).encode()}
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_folder_has_default_permissions(tmp_path):
    (tmp_path / "other").mkdir()
    write_folder(tmp_path / "new", {"one.txt": "1"})
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "other").stat().st_mode
