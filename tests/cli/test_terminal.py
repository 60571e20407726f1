"""Terminal and pipe: width, colour, encodings, shell completion, closed pipes."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from rnnkit.cli.group import SUMMARIES
from tests.helpers.commands import run, run_process, start_process

ESCAPE = b"\x1b["
LONGEST = "a" * 100


def in_terminal(*arguments, columns=80, **environment):
    """Run a command in a pseudo-terminal with `columns` columns and return its output."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {"COLUMNS": "", "TERM": "xterm", "NO_COLOR": "", **environment}
    with start_process(*arguments, stdout=end, **environment):
        os.close(end)
        shown = b"".join(iter(lambda: read_or_nothing(terminal), b""))
    os.close(terminal)
    return shown


def read_or_nothing(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other end is closed
        return b""


def widest(shown):
    return max(len(line) for line in re.sub(rb"\x1b\[\d*m", b"", shown).decode().splitlines())


# Width


@pytest.mark.parametrize("columns", [80, 120])
def test_output_fills_the_terminal(columns):
    assert widest(in_terminal("list", "--load", columns=columns)) == columns


def test_a_pipe_has_80_columns(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert widest(run_process("list", "--load").stdout) == 80


def test_problems_are_wrapped_in_a_terminal_only(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("kind: lstn\ninput_size: 3\nhidden_size: 4\n")
    problem, _ = run_process("validate", file).stdout.splitlines()
    assert b" kinds are installed: `list_kinds()` and `rnnkit list` show them." in problem
    assert widest(in_terminal("validate", file, columns=150)) <= 150 < len(problem)


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_names_are_never_cut(plugins, columns):
    plugins.install(LONGEST, distribution=f"distribution-{LONGEST}")
    for command in ("list", "why"):
        assert f"distribution-{LONGEST}/{LONGEST}" in run(command, LONGEST, width=columns).output.split()


def test_links_are_never_broken():
    assert "https://doi.org/10.1162/neco.1997.9.8.1735" in run("show", "lstm", width=30).output.split()


@pytest.mark.parametrize("command", ["list", "list --load", "why lstm"])
def test_wide_table_becomes_paragraphs(command):
    assert widest(run(*command.split(), width=40).stdout.encode()) <= 40


def test_columns_align_in_any_script(plugins):
    plugins.install("門", "nbrc", distribution="acme-cells")
    lines = run("list", "acme-cells").output.splitlines()
    places = [sum(2 if each == "門" else 1 for each in line[: line.index("acme-cells ")]) for line in lines[2:]]
    assert len(set(places)) == 1


# Colour


def test_a_terminal_has_colour():
    assert ESCAPE in in_terminal("why", "lstm")


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
def test_output_without_colour_has_the_same_text(variable):
    plain = in_terminal("why", "lstm", **variable)
    assert ESCAPE not in plain
    assert plain == re.sub(rb"\x1b\[\d*m", b"", in_terminal("why", "lstm"))


def test_a_pipe_has_colour_only_by_force():
    assert ESCAPE not in run_process("why", "lstm", FORCE_COLOR="").stdout
    assert ESCAPE in run_process("why", "lstm", FORCE_COLOR="1", NO_COLOR="").stdout


# Encodings


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("command", ["list", "why lstm", "--help", "init lstn"])
def test_output_in_every_encoding(command, encoding):
    done = run_process(*command.split(), PYTHONIOENCODING=encoding)
    assert (done.stdout + done.stderr).decode(encoding)
    assert b"Traceback" not in done.stderr


def test_equation_is_latex_in_limited_encodings():
    done = run_process("show", "lstm", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\sigma(W_{ii} x_t" in done.stdout
    assert rb"J\xfcrgen Schmidhuber" in done.stdout


# Pipes


def test_closed_pipe_is_not_an_error():
    reader, end = os.pipe()
    os.close(reader)
    with start_process("list", stdout=end) as process:
        os.close(end)
        assert process.stderr.read() == b""


def test_closed_stdout_is_not_an_error():
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m rnnkit list >&-', sys.executable], check=False, stderr=subprocess.PIPE
    )
    assert (done.returncode, done.stderr) == (0, b"")


# Completion


def completed(words, shell="bash"):
    environment = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = run_process(**environment, _RNNKIT_COMPLETE=f"{shell}_complete")
    return done.stdout.decode().split()


def test_commands_complete():
    assert completed("rnnkit ") == [f"plain,{name}" for name in [*SUMMARIES, "card"]]  # of the plugin rnnkit-cards
    assert completed("rnnkit va") == ["plain,validate"]


def test_commands_of_plugins_complete():
    assert completed("rnnkit ca") == ["plain,card"]
    assert completed("rnnkit card gru_") == ["plain,gru_cell"]


@pytest.mark.parametrize("command", ["show", "why", "init", "list", "schema", "schema gru"])
def test_kinds_complete(command):
    assert completed(f"rnnkit {command} lst") == ["plain,lstm", "plain,lstm_cell"]


def test_bare_names_complete_unless_they_are_ambiguous(plugins, monkeypatch):
    for name, kinds in {"acme-cells": ["nbrc", "nbrc2"], "other-cells": ["nbrc"]}.items():
        plugins.install(*kinds, distribution=name)
    monkeypatch.setenv("COMP_WORDS", "rnnkit show nb")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert run(_RNNKIT_COMPLETE="bash_complete").output.split() == ["plain,nbrc2"]


def test_distributions_complete():
    assert completed("rnnkit doctor rnn")[0] == "plain,rnnkit"


@pytest.mark.parametrize("command", ["validate", "summary", "verify", "validate a.yaml"])
def test_files_complete(command):
    assert completed(f"rnnkit {command} mod") == ["file,mod"]


def test_options_complete():
    assert {"plain,--load", "plain,--json"} <= set(completed("rnnkit list --"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell):
    script = run_process(_RNNKIT_COMPLETE=f"{shell}_source").stdout.decode()
    assert f"_RNNKIT_COMPLETE={shell}_complete" in script


def test_completion_ignores_broken_plugins(plugins, monkeypatch):
    plugins.install("nbrc", source="raise RuntimeError")
    monkeypatch.setenv("COMP_WORDS", "rnnkit show lst")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert run(_RNNKIT_COMPLETE="bash_complete", RNNKIT_STRICT_PLUGINS="1").output.strip() == ""


# Installation


def test_missing_click_is_reported():
    code = "import sys; sys.modules['click'] = None; from rnnkit.__main__ import main; main()"
    done = run_process(code=code)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b'The command rnnkit requires click: run pip install "rnnkit[cli]"\n'


def test_python_m_rnnkit():
    done = subprocess.run([sys.executable, "-m", "rnnkit", "list"], check=True, capture_output=True)
    assert done.stdout == run_process("list").stdout
