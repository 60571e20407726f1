"""Writes the list of plugins on the page `docs/plugins/directory.md`: `python -m docs.site.plugin_directory`.

It lists the plugins in `docs/examples`, from their metadata and from the records of their kinds, so that torchrecurrent
and ncps must be installed. Sections of other plugins, below the end of the list, are kept by hand.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from docs.site.example_plugin import example_installed
from docs.site.generated import update
from rnnkit import Kind, get_kind
from rnnkit_cards.sections.header import surnames

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/plugins/directory.md"
PLUGINS = sorted(path.parent for path in (ROOT / "docs/examples").glob("*/pyproject.toml"))
START, END = "<!-- plugins: python -m docs.site.plugin_directory -->\n", "<!-- end of plugins -->\n"
TITLES = {"example.md": "Example plugin", "adapters.md": "Adapters for other packages"}
PAGES = {"rnnkit-nbrc": "example.md", "rnnkit-ncps": "adapters.md", "rnnkit-torchrecurrent": "adapters.md"}


def with_plugins(page: str) -> str:
    """Return the page with the current list of plugins."""
    before, _, rest = page.partition(START)
    cards = "".join(f"\n{card}" for folder in PLUGINS for card in _card(folder))
    return before + START + cards + "\n" + END + rest.partition(END)[2]


def _card(folder: Path) -> Iterator[str]:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = project["name"]
    with example_installed(folder):
        kinds = [get_kind(f"{name}/{kind}") for kind in sorted(project["entry-points"]["rnnkit"])]
    rows = "".join(f"| {' | '.join(_row(kind))} |\n" for kind in kinds)
    yield f"## {name}\n\n{project['description']}.\n"
    yield f"- **Install**, from a clone of the repository: `pip install ./{folder.relative_to(ROOT).as_posix()}`"
    yield f"- **License:** {project['license']}"
    yield f"- **More:** [{TITLES[PAGES[name]]}]({PAGES[name]})\n"
    yield f"| kind | family | description | paper |\n|---|---|---|---|\n{rows}"


def _row(kind: Kind) -> tuple[str, str, str, str]:
    card = "../kinds/nbrc.md" if kind.name == "nbrc" else ""
    name = f"[`{kind.name}`]({card})" if card else f"`{kind.name}`"
    papers = [f"[{surnames(paper.authors)}, {paper.year}]({paper.link})" for paper in kind.papers[:1]]
    return name, kind.family, kind.summary, "".join(papers)


def main() -> int:
    return update({PAGE: with_plugins(PAGE.read_text(encoding="utf-8"))}, "docs.site.plugin_directory")


if __name__ == "__main__":
    sys.exit(main())
