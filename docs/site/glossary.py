"""A Markdown extension that explains terms of the glossary: the first of each on a page is an `abbr` with a tooltip.

The glossary is the only source. Terms in headings, links, code and equations are left alone.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

PAGE = Path(__file__).parents[1] / "explanation/glossary.md"
# words of everyday English, or of every page
WITHOUT_TOOLTIP = {
    "Batch element, sequence",
    "Cell",
    "Distribution",
    "Feature",
    "Hidden size",
    "Kind",
    "Lengths",
    "Mask",
    "Options",
    "Padding",
    "Plan",
    "State",
    "Step",
}
_ENTRY = re.compile(r"^(\S.*)\n:   (.+(?:\n    .+)*)", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])")
_LAST_LINK = re.compile(r"\s*\[[^\]]+\](?:\([^)]*\)|\[[^\]]*\])$")
_SEE = re.compile(r"See (.+)\.")
_SKIPPED = {"a", "abbr", "button", "code", "dt", "pre", "summary", "th", *(f"h{level}" for level in range(1, 7))}


@cache
def explanations() -> dict[str, str]:
    """Return the explanation of each term with a tooltip, as plain text.

    Raises:
        ValueError: a term without a tooltip is not in the glossary.
    """
    entries = {term: _plain(text) for term, text in _ENTRY.findall(PAGE.read_text(encoding="utf-8"))}
    if missing := WITHOUT_TOOLTIP - entries.keys():
        raise ValueError(f"{PAGE.name} does not have {sorted(missing)}: remove them from WITHOUT_TOOLTIP")
    found: dict[str, str] = {}
    for entry, text in entries.items():
        if entry not in WITHOUT_TOOLTIP:
            other = _SEE.fullmatch(text)
            found |= dict.fromkeys(entry.split(", "), entries[other[1]] if other else text)
    return found


def _plain(markdown: str) -> str:
    """The text of a definition without its last link, which leads to the page about the term."""
    text = _LAST_LINK.sub("", " ".join(markdown.split()))
    return _LINK.sub(r"\1", text).replace("`", "")


@cache
def _pattern() -> re.Pattern[str]:
    """Any term, with a lower-case or capital first letter, and in the plural."""
    terms = sorted(explanations(), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(_spellings, terms))})s?\b")


def _spellings(term: str) -> str:
    first, rest = term[0], re.escape(term[1:])
    return f"{first}{rest}" if term[1:2].isupper() else f"[{first.upper()}{first.lower()}]{rest}"


@cache
def _term_of(text: str) -> str:
    """The term of which a text is a spelling."""
    return next(term for term in explanations() if re.fullmatch(f"{_spellings(term)}s?", text))


class _Tooltips(Treeprocessor):  # type: ignore[misc]  # Markdown has no types
    def __init__(self, md: Markdown) -> None:
        super().__init__(md)
        self._seen: set[str] = set()

    def run(self, root: Element) -> None:
        if "mkdocstrings_headings" in self.md.treeprocessors:
            return  # a docstring: a page of the reference has many
        self._seen.clear()
        self._explain(root)

    def _explain(self, element: Element) -> None:
        """Explain terms in an element, in the order of the page."""
        if element.tag in _SKIPPED or "arithmatex" in (element.get("class") or ""):
            return
        children = list(element)
        element.text, found = self._split(element.text)
        for number, abbreviation in enumerate(found):
            element.insert(number, abbreviation)
        for child in children:
            self._explain(child)
            child.tail, found = self._split(child.tail)
            after = list(element).index(child) + 1
            for number, abbreviation in enumerate(found):
                element.insert(after + number, abbreviation)

    def _split(self, text: str | None) -> tuple[str | None, list[Element]]:
        """The text before the first new term, and elements of new terms, each with the text after it."""
        if not text or isinstance(text, AtomicString):
            return text, []
        found: list[Element] = []
        before, end = text, len(text)
        for match in [each for each in _pattern().finditer(text) if self._is_new(each[0])][::-1]:
            found.insert(0, _abbreviation(match[0], text[match.end() : end]))
            before, end = text[: match.start()], match.start()
        return before, found

    def _is_new(self, text: str) -> bool:
        explanation = explanations()[_term_of(text)]
        is_new = explanation not in self._seen
        self._seen.add(explanation)
        return is_new


def _abbreviation(text: str, after: str) -> Element:
    # the Tab key and a touch reach it, so that Material shows the tooltip
    element = Element("abbr", {"title": explanations()[_term_of(text)], "tabindex": "0"})
    element.text = AtomicString(text)
    element.tail = after
    return element


class GlossaryExtension(Extension):  # type: ignore[misc]  # Markdown has no types
    """Adds the tooltips."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # Markdown's name
        md.treeprocessors.register(_Tooltips(md), "rnnkit_glossary", 7)  # after inline elements, as abbr


def makeExtension(**options: object) -> GlossaryExtension:  # noqa: N802  # Markdown's name
    return GlossaryExtension(**options)
