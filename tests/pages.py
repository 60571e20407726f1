"""A page of the documentation, taken at its word: its code runs, its commands run, its files are there."""

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# a block of code, and the text block that may follow it at once: what it prints
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r"# ([\w-]+\.(?:py|yaml|toml))\n")
EXCERPT = "# rnnkit_mgu.py, in part\n"
# what a console block may run: the rest needs a network, or a clone of its own, and is tested elsewhere
COMMAND = re.compile(r"\$ (?:[A-Z_]+=\S+ )*(rnnkit|cat|echo|ls|diff)\b")
# what is measured, numbers with all their digits, and the version of torch
MEASURED = re.compile(
    r"\b(off by|loss|to|in|of a line|in float32 by|torch) \d[\d.e+-]*(?:[a-z]+\b)?|-?\d\.\d{8,}(?:e-?\d+)?"
)
END = "--- end of a command ---"


def blocks_of(page):
    """The language, the code and the output shown of each block."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def run_page(page, folder):
    """Run a page from top to bottom in a folder, and compare what is printed with what is shown."""
    blocks = blocks_of(page)
    write_files(blocks, folder)
    names = {"__name__": page.stem}
    for language, code, shown in blocks:
        if language == "python" and not FILE_NAME.match(code) and not code.startswith(EXCERPT):
            assert printed_by(code, names, page) == shown
        elif language == "console" and COMMAND.match(code):
            check_commands(code, folder)


def printed_by(code, names, page):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(code, str(page), "exec"), names)  # noqa: S102  # our own pages
    return output.getvalue()


def write_files(blocks, folder):
    """Write what a page shows as files: modules that entry points in its TOML make plugins of, and specs."""
    for language, code, _ in blocks:
        if language in ("python", "yaml", "toml") and (match := FILE_NAME.match(code)):
            (folder / match[1]).write_text(code, encoding="utf-8")
    tables = [tomllib.loads(code) for language, code, _ in blocks if language == "toml" and not FILE_NAME.match(code)]
    entries = [table["project"]["entry-points"]["rnnkit"] for table in tables]
    if entries:
        info = folder / "page-1.0.dist-info"
        info.mkdir()
        lines = [f"{kind} = {module}\n" for entry in entries for kind, module in entry.items()]
        (info / "METADATA").write_text("Name: page\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[rnnkit]\n" + "".join(lines))


def check_commands(block, folder):
    """Type the commands of a block into one shell; `...` in an output shown stands for anything."""
    commands, wanted = commands_of(block)
    printed = typed(commands, folder)
    assert len(printed) == len(commands)
    for command, want, got in zip(commands, wanted, printed, strict=True):
        assert_shown(command, want, got)


def commands_of(block):
    """The commands of a block, and what is shown below each."""
    shown = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return shown[::2], shown[1::2]


def assert_shown(command, want, got):
    """What a command prints is what is shown, but for what differs from one machine to another."""
    want, got = (MEASURED.sub(r"\1 #", text) for text in (want, got))
    assert doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS), f"$ {command}\n{got}"


def typed(commands, folder):
    """What each command prints, errors included, on a terminal of 80 columns without colour."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return into_shell(commands, folder, os.environ | {"PATH": path, "PYTHONPATH": str(folder)})[0]


def into_shell(commands, folder, environment):
    """What each command prints that is typed into one shell, and the folder in which the last one leaves it."""
    script = "".join(f"{command}\nstatus=$?; echo '{END}'; (exit $status)\n" for command in [*commands, "pwd"])
    done = subprocess.run(
        ["bash", "-c", script],  # noqa: S607  # whatever bash there is
        cwd=folder,
        env=environment | {"COLUMNS": "80", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    *printed, last, _ = done.stdout.split(f"{END}\n")
    return printed, Path(last.strip())
