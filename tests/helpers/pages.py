"""A page of the documentation, taken at its word: its code runs, its commands run, its files are there."""

import contextlib
import doctest
import io
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

from tests.helpers.environments import Environment
from tests.helpers.shell import into_shell

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
# typed from an empty directory in an environment of their own, files written as the reader would: test_tutorials.py
TYPED = [DOCS / "tutorials/write_a_plugin.md"]
# pages that take long, or whose tools the development environment does not have: tests/tools
HEAVY = {
    "captum",
    "compile",
    "hub",
    "lightning",
    "parallel",
    "privacy",
    "quantization",
    "tracking",
    "trainers",
    "weights",
}
TOOLS = sorted(page for page in (DOCS / "tools").glob("*.md") if page.stem in HEAVY)
# in an environment in which the example is installed: test_nbrc_example.py, test_adapter_examples.py
EXAMPLE_READMES = sorted(EXAMPLES.glob("*/README.md"))
ELSEWHERE = [
    *TYPED,
    *EXAMPLE_READMES,
    # tables that other pages include, made of figures: test_home_page.py, test_export_table.py
    DOCS / "measured/benchmarks.md",
    DOCS / "measured/export.md",
    *TOOLS,
]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(set(DOCS.rglob("*.md")) - set(ELSEWHERE))]
# a block of code, and the text block that may follow it at once: what it prints
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r"# ([\w-]+\.(?:py|yaml|toml))\n")
EXCERPT = "# rnnkit_nbrc.py (excerpt)\n"
# what continuous integration itself is: a test of these would run the tests
OUTERMOST = re.compile(r"\$ (make|\.ci/run)\b")
# what wants an environment of its own, so as not to change the one that the tests run in
INSTALLS = re.compile(r"^\$ (pip|python|pytest)\b", re.MULTILINE)
# what is measured, numbers with all their digits, and the version of torch
MEASURED = re.compile(
    r"\b(off by|error|loss|to|in|baseline|torch) \d[\d.e+-]*(?:[a-z]+\b)?(?: \(\d+:\d\d:\d\d\))?"
    r"|-?\d\.\d{8,}(?:e-?\d+)?"
)
# where a line is broken depends on the lengths of such values
CONTINUED = re.compile(r"\n {20,}")


def blocks_of(page):
    """The language, the code and the output shown of each block."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def run_page(page, folder):
    """Run a page from top to bottom in a folder, and compare what is printed with what is shown."""
    blocks = blocks_of(page)
    write_files(blocks, folder)
    names, type_commands = {"__name__": page.stem}, shell_for(page, folder)
    for language, code, shown in blocks:
        if language == "python" and not FILE_NAME.match(code) and not code.startswith(EXCERPT):
            assert_printed(shown, printed_by(code, names, page))
        elif language == "console" and not OUTERMOST.match(code):
            check_commands(code, type_commands)


def assert_printed(shown, printed):
    """Assert that code prints the text that the page shows, in which `...` stands for anything."""
    assert shows(shown, printed), f"shown:\n{shown}\nprinted:\n{printed}"


def shows(shown, printed):
    return doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)


def printed_by(code, names, page):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(code, str(page), "exec"), names)  # noqa: S102  # our own pages
    return output.getvalue()


def write_files(blocks, folder):
    """Write what a page shows as files: modules, specs, and the metadata of the distributions in its TOML."""
    for language, code, _ in blocks:
        if language in ("python", "yaml", "toml") and (match := FILE_NAME.match(code)):
            (folder / match[1]).write_text(code, encoding="utf-8")
            sys.modules.pop(Path(match[1]).stem, None)  # another page may have imported a module of this name
    tables = [tomllib.loads(code) for language, code, _ in blocks if language == "toml" and not FILE_NAME.match(code)]
    for table in tables:
        write_metadata(table["project"], folder)


def write_metadata(project, folder):
    """Write the metadata of a distribution, as an installer would."""
    groups = project["entry-points"]
    name = project.get("name") or distribution_of(groups)
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{kind} = {module}\n" for kind, module in entries.items())
            for group, entries in groups.items()
        )
    )


def distribution_of(groups):
    """Name a distribution after its module, as plugins are named: output on a page shows the name."""
    [module] = {module for entries in groups.values() for module in entries.values()}
    assert module.startswith("rnnkit_"), f"name the module rnnkit_{module}, or give the TOML a [project] with a name"
    return module.replace("_", "-")


def shell_for(page, folder):
    """A function that types commands into a shell, in an environment of the page's own if it installs something.

    Such a page finds the examples in its folder, as in a clone.
    """
    if not any(language == "console" and INSTALLS.search(code) for language, code, _ in blocks_of(page)):
        return lambda commands: into_shell(commands, folder, around(folder))[0]
    environment = Environment(folder.with_name(f"{folder.name}-environment"), scripts=("rnnkit", "pytest"))
    shutil.copytree(EXAMPLES, folder / "docs/examples", ignore=shutil.ignore_patterns("__pycache__"))
    return lambda commands: environment.shell(commands, folder)[0]


def around(folder):
    """The variables of this process, with its own commands and the modules of a folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(folder)}


def check_commands(block, type_commands):
    """Type the commands of a block into one shell; `...` in an output shown stands for anything.

    A command with a comment, and nothing below, is only said to work.
    """
    commands, wanted = commands_of(block)
    for command, want, got in zip(commands, wanted, type_commands(commands), strict=True):
        if want or "  # " not in command:
            assert_shown(command, want, got)
        else:
            assert got.status == 0, f"$ {command}\n{got.printed}"


def commands_of(block):
    """The commands of a block, and what is shown below each."""
    first, *shown = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    assert not first, f"a console block starts with a command, but this one does not:\n{block}"
    return shown[::2], shown[1::2]


def assert_shown(command, want, got):
    """Assert that a command prints the text that the page shows, except for values that depend on the machine."""
    want, printed = (MEASURED.sub(r"\1 #", CONTINUED.sub(" ", text)) for text in (want, got.printed))
    assert shows(want, printed), f"$ {command}\n{printed}"
