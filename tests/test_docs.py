"""The code in the README and in the pages of `docs/` runs, prints what the page shows, and says what is so."""

import contextlib
import io
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rnnkit import list_kinds
from rnnkit.catalog import Catalog, using

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# a block of code, and the text block that may follow it at once: what it prints
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r"# (\w+)\.py\n")
EXCERPT = "# rnnkit_mgu.py, in part\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_runs_and_prints_what_it_shows(page, tmp_path, monkeypatch):
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    install_plugins(blocks, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = {"__name__": page.stem}
    with using(Catalog()):
        for language, code, shown in blocks:
            if language == "python" and not FILE_NAME.match(code) and not code.startswith(EXCERPT):
                assert printed_by(code, names, page) == shown


def printed_by(code, names, page):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(code, str(page), "exec"), names)  # noqa: S102  # our own pages
    return output.getvalue()


def install_plugins(blocks, folder):
    """Install what a page shows: a block that starts with a file's name, found by the entry points in its TOML."""
    for language, code, _ in blocks:
        if language == "python" and (match := FILE_NAME.match(code)):
            (folder / f"{match[1]}.py").write_text(code, encoding="utf-8")
    tables = [tomllib.loads(code) for language, code, _ in blocks if language == "toml"]
    entries = [table["project"]["entry-points"]["rnnkit"] for table in tables]
    if entries:
        info = folder / "page-1.0.dist-info"
        info.mkdir()
        lines = [f"{kind} = {module}\n" for entry in entries for kind, module in entry.items()]
        (info / "METADATA").write_text("Name: page\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[rnnkit]\n" + "".join(lines))


def test_the_readme_shows_the_example_of_a_plugin_as_it_is():
    example = ROOT / "docs/examples/rnnkit-mgu"
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    [excerpt] = [code.removeprefix(EXCERPT) for _, code, _ in blocks if code.startswith(EXCERPT)]
    module = (example / "rnnkit_mgu.py").read_text(encoding="utf-8").splitlines()
    assert [line for line in excerpt.splitlines() if line.strip() != "..." and line not in module] == []
    [entry_point] = [code for language, code, _ in blocks if language == "toml"]
    assert entry_point in (example / "pyproject.toml").read_text(encoding="utf-8")


def test_the_readme_lists_rnnkits_own_kinds():
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(table) == [kind for kind in list_kinds() if Catalog().distribution(kind) == "rnnkit"]


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^):#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_make_target_of_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"\bmake (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_the_digits_example_learns_every_kind(tmp_path):
    """The example as a user runs it: a table with every kind above 90 %, and a picture."""
    picture = tmp_path / "digits.png"
    command = [sys.executable, ROOT / "docs/examples/digits.py", "--picture", picture]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    accuracies = dict(re.findall(r"^│ (\S+) +│.* (\d+\.\d)% │", printed, re.MULTILINE))
    assert sorted(accuracies) == list_kinds()
    assert min(map(float, accuracies.values())) > 90
    assert picture.read_bytes().startswith(b"\x89PNG")
