"""Writes the tutorials as Jupyter notebooks: `python -m docs.site.notebooks build/site`, after `docs.site.llms`.

Beside each `tutorials/NAME.html` it writes `tutorials/NAME.ipynb`, from the Markdown of the page. The pages link to the
notebooks, and to Colab, which opens those of the branch on GitHub that `docs.site.deploy` writes.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from docs.site.llms import LINK
from docs.site.versions_branch import NAME

ROOT = Path(__file__).parents[2]
TUTORIALS = ("digits", "variable_lengths", "streaming", "truncated_bptt")  # write_a_plugin is typed into a shell
COLAB = "https://colab.research.google.com/github"
INSTALL = '%pip install -q "rnnkit[cli]" scikit-learn matplotlib rich'
# a block of code, and the text block that may follow it at once: what it prints
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# ([\w-]+\.\w+)\n")
COMMAND = re.compile(r"^\$ (.*)\n", re.MULTILINE)
NOTE = re.compile(r'^!!! \w+ "(.*)"\n((?:\n|    .*\n)*)', re.MULTILINE)


def write(site: Path, base: str) -> None:
    """Write the notebooks of a site.

    Args:
        site: the folder of the site, with the Markdown of its pages.
        base: the address of the site, to which links of the notebooks lead.
    """
    for name in TUTORIALS:
        page = site / "tutorials" / f"{name}.md"
        address = urljoin(base, f"tutorials/{name}.html")
        made = notebook(page.read_text(encoding="utf-8"), address)
        page.with_suffix(".ipynb").write_text(json.dumps(made, ensure_ascii=False, indent=1), encoding="utf-8")


def notebook(text: str, address: str) -> dict[str, Any]:
    """Return a page as a notebook that installs rnnkit first, with the output that the page shows.

    Args:
        text: the page, as self-contained Markdown.
        address: the address of the page.

    Returns:
        The notebook in nbformat 4.5, to be written as JSON.
    """
    source = _markdown(f"From [the documentation of rnnkit]({address}).")
    cells = [source, _code(INSTALL) | {"metadata": {"tags": ["install"]}}, *_cells(text, address)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "cells": [cell | {"id": f"cell-{number}"} for number, cell in enumerate(cells)],
    }


def colab_address(repository: str, version: str) -> str:
    """Return the address at which Colab opens the notebooks of a version; empty if it is not on GitHub."""
    parts = urlsplit(repository)
    if parts.netloc != "github.com":
        return ""
    return f"{COLAB}/{parts.path.strip('/').removesuffix('.git')}/blob/{NAME}/{version}/"


def _cells(text: str, address: str) -> Iterator[dict[str, Any]]:
    end = 0
    for block in BLOCK.finditer(text):
        yield from _prose(text[end : block.start()], address)
        language, code, shown = block.groups()
        yield from [_python(code, shown)] if language == "python" else _commands(code)
        end = block.end()
    yield from _prose(text[end:], address)


def _python(code: str, shown: str | None) -> dict[str, Any]:
    if file := FILE.match(code):
        return _code(f"%%writefile {file[1]}\n{code}".rstrip())
    return _code(code.rstrip(), shown)


def _commands(block: str) -> Iterator[dict[str, Any]]:
    _, *parts = COMMAND.split(block)
    for command, shown in zip(parts[::2], parts[1::2], strict=True):
        yield _code(f"!{command}", shown)


def _code(source: str, shown: str | None = None) -> dict[str, Any]:
    outputs = [{"output_type": "stream", "name": "stdout", "text": shown}] if shown else []
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": outputs, "source": source}


def _markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def _prose(text: str, address: str) -> Iterator[dict[str, Any]]:
    if text.strip():
        yield _markdown(_with_links(NOTE.sub(_quoted, text), address).strip())


def _quoted(note: re.Match[str]) -> str:
    """Return an admonition, which notebooks do not have, as a quotation."""
    title, body = note.groups()
    lines = [line.removeprefix("    ") for line in body.strip("\n").splitlines()]
    return "\n".join(f"> {line}".rstrip() for line in [f"**{title}**", "", *lines]) + "\n\n"


def _with_links(text: str, address: str) -> str:
    """Return a text whose links lead to pages of the site."""

    def link(found: re.Match[str]) -> str:
        target = found["address"]
        if target is None or urlsplit(target).scheme:
            return found[0]
        return urljoin(address, re.sub(r"\.md(?=$|#)", ".html", target))

    return LINK.sub(link, text)


def main() -> None:
    """Write the notebooks of the site that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("--base", required=True, help="the address under which the site will be found")
    given = parser.parse_args()
    write(given.site, given.base)


if __name__ == "__main__":
    main()
