"""The site for programs that read: `python -m docs.site.llms build/site`, after `mkdocs build`.

Beside each `page.html` it writes `page.md`, at the root `llms.txt`, which lists the pages as llmstxt.org has it, and
`llms-full.txt`, all of them in one file.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from posixpath import dirname, join, relpath
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig

from docs.site import torch_inventory
from docs.site.api_markdown import DIRECTIVE
from docs.site.page_markdown import AS_IT_IS, front_matter, page_markdown, snippet_reader

ROOT = Path(__file__).parents[2]
IN_THE_FOOTER = ["changelog.md"]  # pages that are not in the navigation
LINK = re.compile(rf"{AS_IT_IS.pattern}|(?<=\]\()(?P<address>[^)\s]+)(?=[)\s])", AS_IT_IS.flags)
HEADING = re.compile(r"^# (.+)$", re.MULTILINE)


class Entry(NamedTuple):
    """A page in the order of the navigation.

    Attributes:
        section: the first word of the navigation above it.
        source: where it stands in `docs/`.
        title: what the navigation calls it, or else its heading.
        description: its front matter's.
        text: what stands below the front matter.
    """

    section: str
    source: str
    title: str
    description: str
    text: str

    @property
    def target(self) -> str:
        """Where its Markdown stands in the site."""
        folder, _, name = self.source.rpartition("/")
        name = "index.md" if name == "README.md" else name
        return join(folder, name)


def write(site: Path, base: str | None = None, config_file: Path = ROOT / "mkdocs.yml") -> None:
    """Write the Markdown of a site.

    Args:
        site: the folder that MkDocs has written.
        base: the address under which it will be found; None: the one in the settings.
        config_file: the settings.
    """
    config = load_config(str(config_file), site_dir=str(site))
    base = base or str(config.site_url)
    entries = list(entries_of(config))
    pages = dict(zip(entries, _pages(entries, config), strict=True))
    for entry, text in pages.items():
        path = site / entry.target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (site / "llms.txt").write_text(_index(config, entries, base), encoding="utf-8")
    whole = [_absolute(text, urljoin(base, entry.target)) for entry, text in pages.items()]
    (site / "llms-full.txt").write_text("\n\n".join(whole), encoding="utf-8")


def entries_of(config: MkDocsConfig) -> Iterator[Entry]:
    """Yield the pages in the order of the navigation, and those in the footer."""
    for section, title, source in _flat([*(config.nav or []), *IN_THE_FOOTER]):
        said, text = front_matter((Path(config.docs_dir) / source).read_text(encoding="utf-8"))
        heading = HEADING.search(text)
        name = title or said.get("title") or (_plain(heading[1]) if heading else "")
        if not name:
            raise ValueError(f"{source} has no title: give it a heading, or a title in its front matter")
        yield Entry(section or name, source, name, said.get("description", ""), text)


def _flat(nav: Any, section: str = "") -> Iterator[tuple[str, str, str]]:
    """The section, the title and the source of each page of a navigation."""
    for each in nav:
        [(title, value)] = each.items() if isinstance(each, dict) else [("", each)]
        if isinstance(value, str):
            yield section, title, value
        else:
            yield from _flat(value, section or title)


def _pages(entries: list[Entry], config: MkDocsConfig) -> Iterator[str]:
    settings = {**config.mdx_configs["pymdownx.snippets"], "base_path": [str(ROOT)]}
    snippets = snippet_reader(settings)
    places = {name: entry.target for entry in entries for name, _ in DIRECTIVE.findall(entry.text)}
    for entry in entries:
        yield _to_index(page_markdown(entry.text, snippets, partial(_address, entry.target, places)))


def _address(here: str, places: dict[str, str], name: str) -> str | None:
    """From a page to the one that documents a name, or what it is a member of; of a name of torch, to its page."""
    owner = name
    while owner and owner not in places:
        owner = owner.rpartition(".")[0]
    return f"{relpath(places[owner], dirname(here) or '.')}#{name}" if owner else torch_inventory.address(name)


def _to_index(text: str) -> str:
    """Links to a README lead to the page that MkDocs makes of it."""
    return _with_addresses(text, lambda address: re.sub(r"(^|/)README\.md(?=$|#)", r"\1index.md", address))


def _absolute(text: str, here: str) -> str:
    return _with_addresses(text, lambda address: address if urlsplit(address).scheme else urljoin(here, address))


def _with_addresses(text: str, change: Callable[[str], str]) -> str:
    """A text whose links lead elsewhere; what looks like a link in code is none."""
    return LINK.sub(lambda found: found[0] if found["address"] is None else change(found["address"]), text)


def _index(config: MkDocsConfig, entries: list[Entry], base: str) -> str:
    lines = [f"# {config.site_name}", "", f"> {config.site_description}"]
    for number, entry in enumerate(entries):
        if number == 0 or entry.section != entries[number - 1].section:
            lines += ["", f"## {entry.section}", ""]
        about = f": {entry.description}" if entry.description else ""
        lines.append(f"- [{entry.title}]({urljoin(base, entry.target)}){about}")
    return "\n".join(lines) + "\n"


def _plain(heading: str) -> str:
    return heading.replace("`", "").strip()


def main() -> None:
    """Write the Markdown of the site that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("--base", help="the address under which the site will be found")
    given = parser.parse_args()
    write(given.site, given.base)


if __name__ == "__main__":
    main()
