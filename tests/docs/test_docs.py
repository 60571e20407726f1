"""The code in the README and in the pages of `docs/` runs, prints what the page shows, and says what is so."""

import re
import subprocess
import sys

import pytest

from docs.pictures import draw
from docs.site.example_plugin import example_installed
from docs.site.kinds_index import ENTRIES
from rnnkit import Catalog, get_kind, list_kinds
from rnnkit.testing import use_catalog
from tests.helpers.kinds import CORE
from tests.helpers.pages import DOCS, EXAMPLE_READMES, EXCERPT, PAGES, ROOT, TOOLS, TYPED, blocks_of, run_page

OF_THE_EXAMPLE = DOCS / "kinds/nbrc.md"  # the kind of a plugin


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_of_page_runs_with_the_shown_output(page, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    with example_installed() if page == OF_THE_EXAMPLE else use_catalog(Catalog()):
        run_page(page, tmp_path)


def test_readme_excerpt_matches_the_plugin():
    example = ROOT / "docs/examples/rnnkit-nbrc"
    blocks = blocks_of(ROOT / "README.md")
    [excerpt] = [code.removeprefix(EXCERPT) for _, code, _ in blocks if code.startswith(EXCERPT)]
    module = (example / "rnnkit_nbrc.py").read_text(encoding="utf-8").splitlines()
    lines = [line for line in excerpt.splitlines() if line.strip() != "..."]
    assert len(lines) > 5
    assert [line for line in lines if line not in module] == []
    [entry_point] = [code for language, code, _ in blocks if language == "toml"]
    assert entry_point in (example / "pyproject.toml").read_text(encoding="utf-8")


def test_readme_lists_the_builtin_kinds():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+) \| (`.+`) \|$", readme, re.MULTILINE)
    listed = [kind for _, kinds in rows for kind in re.findall(r"`(\w+)`", kinds)]
    assert sorted(listed) == [kind for kind in list_kinds() if Catalog().distribution(kind) == "rnnkit"]
    assert f"{len(listed)} kinds are built in" in readme
    families = {family: kinds for family, kinds in rows if "families/" in family}
    assert len(families) == 5
    for family, kinds in families.items():
        name = re.search(r"families/(\w+)\.md", family)[1]
        assert {get_kind(kind).family for kind in re.findall(r"`(\w+)`", kinds)} == {name}


def test_table_of_kinds_and_navigation_have_every_builtin_kind():
    own = {kind for kind in list_kinds() if Catalog().distribution(kind) == "rnnkit"}
    assert {kind for kind in ENTRIES if "/" not in kind} == own
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"^ +- (\w+): kinds/\1\.md$", navigation, re.MULTILINE)) == own


@pytest.mark.parametrize("family", ["gated", "linear", "matrix", "continuous", "simple"])
def test_page_of_a_family_lists_its_kinds(family):
    page = (DOCS / f"kinds/families/{family}.md").read_text(encoding="utf-8")
    rows = "".join(re.findall(r"^\| (.+?) \|", page, re.MULTILINE))
    listed = re.findall(r"\[`(\w+)`\]\(\.\./\1\.md\)", rows)
    assert sorted(listed) == [kind for kind in list_kinds() if "/" not in kind and get_kind(kind).family == family]


@pytest.mark.parametrize("name", draw.SCREENS)
def test_picture_shows_the_current_output(name):
    drawn = (ROOT / "docs/pictures" / name).read_text(encoding="utf-8")
    assert drawn == draw.picture(draw.SCREENS[name]), "if that is right: python docs/pictures/draw.py"


def test_readme_shows_the_picture_of_its_spec():
    assert f"# reader.yaml\n{draw.SPEC}" in [code for _, code, _ in blocks_of(ROOT / "README.md")]


def test_links_between_pages_are_valid():
    links = [
        (page, target)
        for page in [*PAGES, *TOOLS, *TYPED, *EXAMPLE_READMES, ROOT / "CHANGELOG.md"]
        for target in re.findall(r"\]\(([^):#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 300
    files = [(page, target, page.parent / target.partition("?")[0]) for page, target in links]
    assert [f"{page.name}: {target}" for page, target, file in files if not file.exists()] == []


def test_mentioned_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = [re.findall(r"(?:^\$ |`)make ([\w-]+)", page.read_text(encoding="utf-8"), re.MULTILINE) for page in PAGES]
    targets = {target for each in named for target in each}
    assert {"test", "docs"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_digits_example_learns_with_every_kind(tmp_path):
    """The example as a user runs it: a table with every kind above 90 %, and a picture."""
    picture = tmp_path / "digits.png"
    command = [sys.executable, ROOT / "docs/examples/digits.py", "--picture", picture]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    accuracies = dict(re.findall(r"^│ (\S+) +│.* (\d+\.\d)% │", printed, re.MULTILINE))
    assert sorted(accuracies) == list_kinds()
    assert min(float(accuracies[kind]) for kind in CORE) > 90
    assert min(map(float, accuracies.values())) > 50  # some kinds learn slowly, or train their readout only
    assert picture.read_bytes().startswith(b"\x89PNG")
