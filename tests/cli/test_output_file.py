"""Commands replace no file unless they are asked to, and write through no symbolic link."""

import os
import shutil
import sys
from pathlib import Path

import click
import pytest

from rnnkit import RecurrentSpec, build_model, save_model
from rnnkit.cli import output_file
from rnnkit.cli.command import CommandError
from rnnkit.cli.group import commands
from rnnkit.cli.output_file import new_output, write_output
from tests.helpers.commands import COMMAND, run, run_process
from tests.helpers.pages import ROOT

WRITING = {
    "schema": ("schema", "lstm", "-o", "FOLDER/schema.json"),
    "init": ("init", "lstm", "-o", "FOLDER/spec.yaml"),
    "export": ("export", "FOLDER/model.safetensors", "FOLDER/model.pt2"),
    "card": ("card", "--folder", "FOLDER", "gru"),
}
# The other commands, with the reason why they have no --force.
OTHERS = {
    "list": "writes nothing",
    "show": "writes nothing",
    "why": "writes nothing",
    "doctor": "writes nothing",
    "validate": "writes nothing",
    "summary": "writes nothing",
    "verify": "writes nothing",
    "check": "writes nothing",
    "compare": "replaces the files of an earlier comparison only",
    "new-plugin": "creates a folder, which must not exist",
}


@pytest.fixture
def writing(tmp_path):
    """Return the arguments of a command that writes, and its file."""
    shutil.copytree(ROOT / "docs/kinds/measured", tmp_path / "measured")
    save_model(build_model(RecurrentSpec(kind="gru", input_size=2, hidden_size=3)), tmp_path / "model.safetensors")

    def of(name):
        arguments = [each.replace("FOLDER", str(tmp_path)) for each in WRITING[name]]
        return arguments, tmp_path / ("gru.md" if name == "card" else arguments[-1].rpartition("/")[2])

    return of


def test_every_command_follows_the_rule():
    context = click.Context(commands)
    found = {name: commands.get_command(context, name) for name in commands.list_commands(context)}
    forced = {name for name, each in found.items() if any("--force" in option.opts for option in each.params)}
    assert forced == set(WRITING)
    assert found.keys() == WRITING.keys() | OTHERS.keys()


@pytest.mark.parametrize("name", WRITING)
def test_an_existing_file_is_replaced_with_force_only(name, writing):
    arguments, file = writing(name)
    file.write_text("mine")
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert f"{file} already exists; use --force to overwrite it" in refused.stderr.replace("\n", " ")
    assert file.read_text() == "mine"
    assert run(*arguments, "--force").exit_code == 0
    assert file.read_bytes() != b"mine"


@pytest.mark.parametrize("exists", [True, False], ids=["to a file", "dangling"])
@pytest.mark.parametrize("force", [True, False], ids=["force", "plain"])
@pytest.mark.parametrize("name", WRITING)
def test_nothing_is_written_through_a_link(name, force, exists, writing, tmp_path):
    arguments, file = writing(name)
    target = tmp_path / "elsewhere"
    if exists:
        target.write_text("mine")
    file.symlink_to(target)
    refused = run(*arguments, *(["--force"] if force else []))
    assert refused.exit_code == 1
    assert "is a symbolic link to" in refused.stderr.replace("\n", " ")
    assert target.exists() == exists
    assert not exists or target.read_text() == "mine"


@pytest.mark.parametrize("force", [True, False], ids=["force", "plain"])
@pytest.mark.parametrize("name", WRITING)
def test_a_link_to_itself_is_not_replaced(name, force, writing):
    arguments, file = writing(name)
    file.symlink_to(file.name)
    refused = run(*arguments, *(["--force"] if force else []))
    assert refused.exit_code == 1
    assert f"{file} is a symbolic link to {file.name}, which" in refused.stderr.replace("\n", " ")


# One more that a comparison begins to write is missing here, so that the test fails
OF_A_COMPARISON = ["report.html", "results.json", "results.json.lock", "results.optuna", "results.optuna.lock"]
QUICK = "--tasks adding(length=4) --steps 2 --seeds 1 --parameters 200 --engine here"
COMPARE = ["compare", "--kinds", "gru", *QUICK.split()]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Return the folder of a comparison, all of whose files are left, as after an interruption."""
    out = tmp_path_factory.mktemp("compared")
    opened, lock = [], out / "results.optuna.lock"

    def note(event, arguments):
        if event == "open" and str(arguments[0]).startswith(str(out)) and arguments[2] & os.O_CREAT:
            opened.append(Path(arguments[0]))

    sys.addaudithook(note)
    assert run(*COMPARE, "--search", "1", "--out", out).exit_code == 0
    lock.touch()
    created = {path.name for path in opened if path.parent == out and not path.name.endswith(".tmp")}
    assert created
    assert created <= {*OF_A_COMPARISON}
    assert {path.name for path in out.iterdir()} == {*OF_A_COMPARISON}
    return out


@pytest.mark.parametrize("name", OF_A_COMPARISON)
def test_a_comparison_replaces_no_other_file(name, compared, tmp_path):
    out = shutil.copytree(compared, tmp_path / "out")
    (out / name).write_text("mine")
    refused = run(*COMPARE, "--search", "1", "--out", out)
    assert refused.exit_code == 1
    message = "does not hold the results" if name == "results.json" else "already exists, but is not of a comparison"
    assert message in refused.stderr.replace("\n", " ")
    assert (out / name).read_text() == "mine"


@pytest.mark.parametrize("name", OF_A_COMPARISON)
def test_a_comparison_writes_through_no_link(name, compared, tmp_path):
    out = shutil.copytree(compared, tmp_path / "out")
    other = (out / name).rename(tmp_path / "other")  # a valid one
    content = other.read_bytes()
    (out / name).symlink_to(other)
    refused = run(*COMPARE, "--search", "1", "--out", out)
    assert refused.exit_code == 1
    assert "is a symbolic link" in refused.stderr.replace("\n", " ")
    assert other.read_bytes() == content


def test_a_report_without_results_is_not_replaced(tmp_path):
    (tmp_path / "report.html").write_text("mine")
    refused = run(*COMPARE, "--out", tmp_path)
    assert refused.exit_code == 1
    assert "already exists, but is not of a comparison" in refused.stderr.replace("\n", " ")


def test_a_card_is_replaced_without_force(writing):
    arguments, file = writing("card")
    assert run(*arguments).exit_code == 0
    card = file.read_text(encoding="utf-8")
    file.write_text(card.replace("GRU", "gru"), encoding="utf-8", newline="\n")
    assert run(*arguments).exit_code == 0
    assert file.read_text(encoding="utf-8") == card


def test_files_that_are_not_measurements_are_not_replaced(writing, tmp_path):
    arguments, file = writing("card")
    (tmp_path / "measured/gru.json").write_text("[1]")
    refused = run(*arguments, "--measure")
    assert refused.exit_code == 1
    assert "gru.json already exists; use --force" in refused.stderr.replace("\n", " ")
    assert not file.exists()
    assert (tmp_path / "measured/gru.json").read_text() == "[1]"


@pytest.mark.parametrize("linked", ["gru.md", "measured"], ids=["a card", "a folder"])
def test_a_card_does_not_leave_its_folder(linked, tmp_path):
    folder, outside = tmp_path / "docs", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / linked).symlink_to(outside if linked == "measured" else outside / "gru.md")
    refused = run("card", "gru", "--folder", str(folder))
    assert refused.exit_code == 1
    assert "symbolic link" in refused.stderr.replace("\n", " ")
    assert list(outside.iterdir()) == []


FULL_DISK = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY)); {COMMAND}"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("exists", [True, False], ids=["old", "new"])
@pytest.mark.parametrize("name", WRITING)
def test_a_full_disk_leaves_the_files_as_they_were(name, exists, writing, tmp_path):
    arguments, file = writing(name)
    if exists:
        file.write_text("mine")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    failed = run_process(*arguments, *(["--force"] if exists else []), code=FULL_DISK, PYTHONDONTWRITEBYTECODE="1")
    assert (failed.returncode, failed.stderr.decode()) == (1, f"Error: {file}: File too large\n")
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def appear(file, how, tmp_path):
    if how == "file":
        file.write_text("mine")
    else:
        file.symlink_to(tmp_path / "elsewhere")


def write_other(file, meanwhile, *, force):
    with new_output(file, force=force) as new:
        new.write_text("other")
        meanwhile()


@pytest.mark.parametrize("how", ["file", "link"])
@pytest.mark.parametrize("when", ["before the last check", "after the last check"])
def test_a_file_that_appears_meanwhile_is_not_replaced(when, how, tmp_path, monkeypatch):
    file, reserve = tmp_path / "file", output_file._reserve
    if when == "after the last check":
        monkeypatch.setattr(output_file, "check_output", lambda *_, **__: None)
        monkeypatch.setattr(output_file, "_reserve", lambda path: (appear(file, how, tmp_path), reserve(path)))
    with pytest.raises(CommandError, match=r"already exists|is a symbolic link"):
        write_other(file, lambda: when == "before the last check" and appear(file, how, tmp_path), force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert how == "link" or file.read_text() == "mine"


def test_a_link_that_appears_meanwhile_is_not_followed(tmp_path, monkeypatch):
    file = tmp_path / "file"
    (tmp_path / "elsewhere").write_text("mine")
    with pytest.raises(CommandError, match="is a symbolic link"):
        write_other(file, lambda: appear(file, "link", tmp_path), force=True)
    monkeypatch.setattr(output_file, "check_output", lambda *_, **__: None)  # as if it appeared after the check
    write_other(file, lambda: None, force=True)
    assert (file.is_symlink(), file.read_text()) == (False, "other")
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_the_permissions_of_the_old_file_remain(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o640)
    write_output(file, "new", force=True)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640 if sys.platform != "win32" else 0o666)


def test_errors_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        write_output(tmp_path / "no/file", "text", force=True)
    assert raised.value.filename == str(tmp_path / "no/file")
    with pytest.raises(CommandError, match="is not a regular file"):
        write_output(tmp_path, "text", force=True)
