"""The tutorials as notebooks: their cells run and print what the page shows, and their links lead to the site."""

import os
import re
import sys
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from docs.site import llms, notebooks
from docs.site.page_markdown import front_matter
from tests.helpers.pages import DOCS, TYPED, blocks_of, shows

BASE = "https://example.org/rnnkit/1.0/"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The notebooks of a site, by name."""
    site = tmp_path_factory.mktemp("site")
    llms.write(site, BASE)
    notebooks.write(site, BASE)
    return {path.stem: nbformat.read(path, as_version=4) for path in site.rglob("*.ipynb")}


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed_by(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.mark.parametrize("name", notebooks.TUTORIALS)
def test_a_notebook_runs_with_the_shown_output(made, name, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = deepcopy(made[name])
    shown = [printed_by(cell) for cell in code_of(notebook)][1:]
    assert any(shown)
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", ())]
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cell, want in zip(code_of(notebook), shown, strict=True):
        got = printed_by(cell).replace("\r\n", "\n")  # a command writes to a terminal
        if not cell.source.startswith("%%writefile"):
            assert shows(want, got), f"{cell.source}\nshown:\n{want}\nprinted:\n{got}"


@pytest.mark.parametrize("name", notebooks.TUTORIALS)
def test_a_notebook_is_valid(made, name):
    nbformat.validate(made[name], relax_add_props=False)


@pytest.mark.parametrize("name", notebooks.TUTORIALS)
def test_a_notebook_has_all_of_its_page(made, name):
    install, *cells = code_of(made[name])
    blocks = [block for block in blocks_of(DOCS / f"tutorials/{name}.md") if block[0] in ("python", "console")]
    assert install.source == notebooks.INSTALL
    assert len(blocks) > 5
    for language, code, shown in blocks:
        if language == "python":
            assert any(cell.source.endswith(code.strip()) and printed_by(cell) == shown for cell in cells), code
        else:
            assert "!" + re.match(r"\$ (.*)\n", code)[1] in [cell.source for cell in cells]


@pytest.mark.parametrize("name", notebooks.TUTORIALS)
def test_prose_of_a_notebook_is_plain_markdown_with_absolute_links(made, name):
    prose = "\n".join(cell.source for cell in made[name].cells if cell.cell_type == "markdown")
    addresses = re.findall(r"\]\(([^)\s]+)", prose)
    assert f"{BASE}tutorials/{name}.html" in addresses
    assert [each for each in addresses if not re.match(r"https://[\w.]+/.*(?<!\.md)$", each)] == []
    assert re.findall(r"^(?:!!!|---|--8<--|:::)|</?(?:svg|figure|div)", prose, re.MULTILINE) == []


def test_every_tutorial_is_a_notebook_or_is_typed_into_a_shell():
    pages = {page.stem: front_matter(page.read_text("utf-8"))[0] for page in (DOCS / "tutorials").glob("*.md")}
    assert pages.keys() - {"index"} == {*notebooks.TUTORIALS, *(page.stem for page in TYPED)}
    assert {name for name, meta in pages.items() if meta.get("notebook")} == {*notebooks.TUTORIALS}


@pytest.mark.parametrize(
    "repository", ["https://github.com/a/b", "https://github.com/a/b/", "https://github.com/a/b.git"]
)
def test_colab_opens_notebooks_of_the_branch_of_versions(repository):
    address = "https://colab.research.google.com/github/a/b/blob/gh-pages/1.0/"
    assert notebooks.colab_address(repository, "1.0") == address


@pytest.mark.parametrize("repository", ["", "https://example.org/a/b"])
def test_colab_opens_only_what_is_on_github(repository):
    assert notebooks.colab_address(repository, "1.0") == ""


def test_an_admonition_becomes_a_quotation():
    page = 'A\n\n!!! warning "Mind `x`"\n\n    One.\n\n    Two.\n\nB\n'
    [_, _, prose] = notebooks.notebook(page, BASE)["cells"]
    assert prose["source"] == "A\n\n> **Mind `x`**\n>\n> One.\n>\n> Two.\n\nB"
