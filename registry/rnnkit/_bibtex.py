"""BibTeX entries of papers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from string import ascii_lowercase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnkit.kind import Paper

_ARXIV = re.compile(r"https?://arxiv\.org/(?:abs|pdf)/(.+?)(?:\.pdf)?$")
_DOI = re.compile(r"https?://(?:dx\.)?doi\.org/(.+)$")
_SPECIAL = re.compile(r"[&%$#_]")  # characters that LaTeX interprets


def bibtex(papers: Iterable[Paper]) -> str:
    """Return a BibTeX entry for each paper, with different keys such as `cho2014` and `cho2014a`."""
    found: dict[str, Paper] = {}
    for paper in papers:
        key = _key(paper)
        free = (each for each in (key, *(key + letter for letter in ascii_lowercase)) if each not in found)
        found[next(free)] = paper
    return "\n\n".join(_entry(key, paper) for key, paper in found.items())


def _key(paper: Paper) -> str:
    """The surname of the first author in ASCII, and the year."""
    surname = paper.authors.removesuffix(" et al.").split(", ")[0].split()[-1].lower()
    plain = unicodedata.normalize("NFKD", surname.replace("ø", "o").replace("ß", "ss"))
    return f"{re.sub('[^a-z]', '', plain)}{paper.year}"


def _entry(key: str, paper: Paper) -> str:
    names = paper.authors.replace(" et al.", ", others").split(", ")
    fields = {
        "title": f"{{{_escaped(paper.title)}}}",  # the inner braces keep its capitals
        "author": _escaped(" and ".join(names)),
        "year": str(paper.year),
    }
    entry_type = "misc"
    if arxiv := _ARXIV.match(paper.link):
        fields |= {"eprint": arxiv[1], "archivePrefix": "arXiv"}
    elif doi := _DOI.match(paper.link):
        entry_type = "article"
        fields["doi"] = doi[1]
    lines = [f"  {name} = {{{value}}}," for name, value in {**fields, "url": paper.link}.items()]
    return "\n".join([f"@{entry_type}{{{key},", *lines, "}"])


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)
