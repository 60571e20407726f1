"""Finds what is broken in a site that was built: `python -m docs.site.links build/site`.

Every address in a page or a style sheet leads to a file of the site, and to an anchor that is there; nothing that a
browser fetches by itself is on another host; no two elements of a page have one id. What pages link to elsewhere is
not asked for. The status is 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit
from xml.etree import ElementTree as ET

FETCHED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("object", "data"), ("use", "href")}
FOR_READERS = {"canonical", "prev", "next", "alternate"}  # relations of <link> that no browser fetches
ABSOLUTE = {"404.html"}  # a server shows it at any address
IN_STYLES = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


class Address(NamedTuple):
    """An address as it stands in a file."""

    text: str
    fetched: bool


class Page(HTMLParser):
    """The ids and the addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.addresses: list[Address] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag is called and what it leads to."""
        given = {name: value for name, value in attrs if value is not None}
        self.ids.update(given[name] for name in ("id",) if name in given)
        self._in_style = tag == "style"
        self.addresses += [Address(each, fetched=True) for each in _of_style(given.get("style", ""))]
        for name, value in given.items():
            if name in ("href", "src", "data", "xlink:href") and (name != "data" or tag == "object"):
                self.addresses.append(Address(value, fetched=_is_fetched(tag, name, given)))

    def handle_data(self, data: str) -> None:
        """Note what a style sheet in the page leads to."""
        if self._in_style:
            self.addresses += [Address(each, fetched=True) for each in _of_style(data)]

    def handle_endtag(self, tag: str) -> None:
        """Leave a style sheet."""
        self._in_style = self._in_style and tag != "style"


def problems(site: Path) -> Iterator[str]:
    """What is wrong in a site, a line each."""
    base = base_of(site)
    for path in sorted(site.rglob("*.html")):
        name, page = path.relative_to(site).as_posix(), _page(path)
        for identifier, count in page.ids.items():
            if count > 1:
                yield f"{name}: {count} elements have the id {identifier!r}"
        for address in dict.fromkeys(page.addresses):
            yield from _problems_of(address, name, site, base)
    for path in sorted(site.rglob("*.css")):
        for text in dict.fromkeys(_of_style(path.read_text(encoding="utf-8"))):
            yield from _problems_of(Address(text, fetched=True), path.relative_to(site).as_posix(), site, base)


def base_of(site: Path) -> str:
    """The address of the site, from its sitemap."""
    return min((each for each in sitemap(site)), key=len).rpartition("/")[0] + "/"


def sitemap(site: Path) -> list[str]:
    """The addresses of all pages, as the sitemap has them."""
    root = ET.fromstring((site / "sitemap.xml").read_text(encoding="utf-8"))  # noqa: S314  # which we wrote ourselves
    return [each.text or "" for each in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]


def _problems_of(address: Address, name: str, site: Path, base: str) -> Iterator[str]:
    there = urlsplit(address.text)
    if there.scheme or there.netloc:
        if address.fetched and there.scheme != "data":
            yield f"{name}: {address.text} is fetched from elsewhere"
        return
    if there.path.startswith("/") and name not in ABSOLUTE:
        yield f"{name}: {address.text} leads elsewhere when the page is read from disk"
        return
    target = urljoin(base + name, address.text)
    file = site / unquote(urlsplit(target).path.removeprefix(urlsplit(base).path))
    file = file / "index.html" if file.is_dir() else file
    if not file.is_file() or not target.startswith(base):
        yield f"{name}: {address.text} leads nowhere"
    elif there.fragment and file.suffix == ".html" and unquote(there.fragment) not in _page(file).ids:
        yield f"{name}: {address.text} leads to a page without that anchor"


def _is_fetched(tag: str, name: str, given: dict[str, str]) -> bool:
    if tag == "link":
        return not FOR_READERS & set(given.get("rel", "").split())
    return (tag, name.removeprefix("xlink:")) in FETCHED


def _of_style(text: str) -> list[str]:
    return [first or second for first, second in IN_STYLES.findall(text)]


@cache
def _page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def main() -> int:
    """Print all problems of the site that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    site = parser.parse_args().site
    found = list(problems(site))
    print("\n".join(found) or f"{len(list(site.rglob('*.html')))} pages, every link and anchor is there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
