"""Commands in the encodings of other systems: that of Windows for pipes, and ASCII; files are in UTF-8 everywhere."""

import re

import pytest

import rnnkit
from rnnkit.cli.group import SUMMARIES
from tests.helpers.commands import run, run_process
from tests.helpers.models import small_model, small_spec

ESCAPE = re.compile(r"\\u[0-9a-f]{4}")
HELP = ["--help", *(f"{name} --help" for name in [*SUMMARIES, "card"])]
COMMANDS = [
    *("list --load", "why lstm", "show lstm", "show lstm --json", "show lstm --bibtex", "init lstm", "schema lstm"),
    *("validate spec.yaml", "summary spec.yaml", "summary model.safetensors", "verify model.safetensors"),
    *("check lstm_cell --only spec_round_trip", "new-plugin rnnkit-mine", "show lstn", "validate wrong.yaml"),
]
# Runs commands one after another; a file that rnnkit opens without an encoding is an error.
STRICT = """
import sys, warnings
warnings.filterwarnings("error", category=EncodingWarning, module="rnnkit")
import click
from rnnkit.cli.group import commands
for line in sys.argv[1:]:
    try:
        commands(line.split(), prog_name="rnnkit", standalone_mode=False)
    except click.ClickException as error:
        error.show()
"""
ASCII = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONIOENCODING": ""}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rnnkit.save_spec(small_spec("lstm"), tmp_path / "spec.yaml")
    rnnkit.save_model(small_model("lstm"), tmp_path / "model.safetensors")
    (tmp_path / "wrong.yaml").write_text("kind: lstn\ninput_size: éλ\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
@pytest.mark.parametrize("command", [*HELP, *COMMANDS])
def test_output_has_no_characters_that_the_encoding_lacks(command, encoding, folder):
    printed = run(*command.split(), encoding=encoding)
    assert printed.exit_code == int(command in {"show lstn", "validate wrong.yaml"})
    if encoding == "cp1252" and not command.endswith(("--json", "wrong.yaml")):  # JSON, and a letter of the file
        assert not ESCAPE.search(printed.stdout + printed.stderr)


def test_files_are_opened_with_an_encoding(folder):
    planted = folder / "rnnkit_planted.py"
    planted.write_text("open('spec.yaml').close()", encoding="utf-8")
    strict = {**ASCII, "PYTHONWARNDEFAULTENCODING": "1"}
    found = run_process(code=f"{STRICT}\nimport rnnkit_planted", path=[folder], **strict)
    assert b"EncodingWarning: 'encoding' argument not specified" in found.stderr
    done = run_process(*COMMANDS, "init lru --output new.yaml", "schema --output schema.json", code=STRICT, **strict)
    assert done.returncode == 0, done.stderr.decode("ascii")
    assert (folder / "new.yaml").read_text("utf-8").count("λ") > 1


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_redirected_spec_file_is_in_utf_8(encoding, folder):
    run("init", "lru", "--output", "new.yaml")
    assert "λ" in (folder / "new.yaml").read_text("utf-8")
    assert run_process("init", "lru", PYTHONIOENCODING=encoding).stdout == (folder / "new.yaml").read_bytes()
