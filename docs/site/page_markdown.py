"""Converts a page of `docs/` to self-contained Markdown: with the content that MkDocs inserts, without HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import unescape
from typing import Any

import markdown
import yaml

from docs.site.api_markdown import DIRECTIVE, documented

# left unchanged: code blocks, inline code, LaTeX
AS_IT_IS = re.compile(
    r"^(?P<indent>[ ]*)(?P<fence>```+|~~~+).*?^(?P=indent)(?P=fence)[ ]*$"
    r"|`[^`\n]+`"
    r"|\$\$.*?\$\$|\\\(.*?\\\)|\\\[.*?\\\]|(?<![\\$])\$(?! )[^$\n]+(?<! )\$",
    re.DOTALL | re.MULTILINE,
)
PLACE = re.compile("\x00(\\d+)\x00")
DRAWING = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
SAID = re.compile(r"<(title|desc)\b[^>]*>(.*?)</\1>", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
INVISIBLE = re.compile(r"<(script|style|template|noscript)\b.*?</\1>\n?", re.DOTALL)
AROUND = re.compile(r"^[ ]*</?(?:div|figure|section|p)\b[^>]*>[ ]*\n?", re.MULTILINE)
CAPTION = re.compile(r"</?figcaption\b[^>]*>")
ATTRIBUTES = re.compile(r"(?<=[)\]`*])\{:?[ ]*[.#][^{}\n]*\}|[ ]+\{:?[ ]*#[^{}\n]*\}$", re.MULTILINE)
REFERENCE = re.compile(r"\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])+)\]\[(?P<name>[\w.]*)\]")
FRONT_MATTER = re.compile(r"\A---\n(.*?\n)---\n", re.DOTALL)


def front_matter(source: str) -> tuple[dict[str, Any], str]:
    """Return the front matter of a page, and the rest of it."""
    found = FRONT_MATTER.match(source)
    if not found:
        return {}, source
    said: dict[str, Any] = yaml.safe_load(found[1]) or {}
    return said, source[found.end() :].lstrip("\n")


def page_markdown(source: str, snippets: Callable[[str], str], address_of: Callable[[str], str | None]) -> str:
    """A page as Markdown.

    Args:
        source: the page as it stands in `docs/`, without its front matter.
        snippets: puts in what lines with `--8<--` name.
        address_of: the address of the page that documents a name; None: no page does.
    """
    text = _with_docstrings(snippets(source))
    kept: list[str] = []
    text = AS_IT_IS.sub(lambda found: _keep(found[0], kept), text)
    text = _without_html(_with_links(text, kept, address_of))
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    while PLACE.search(text):  # of what is kept, some stands in a link's text that is kept as well
        text = PLACE.sub(lambda found: kept[int(found[1])], text)
    return text


def snippet_reader(settings: Mapping[str, Any]) -> Callable[[str], str]:
    """Return a function that inserts snippets, with the settings of the site."""
    reader = markdown.Markdown(
        extensions=["pymdownx.snippets"], extension_configs={"pymdownx.snippets": dict(settings)}
    )
    return lambda text: "\n".join(reader.preprocessors["snippet"].run(text.split("\n")))


def _with_docstrings(text: str) -> str:
    def documentation(found: re.Match[str]) -> str:
        options: dict[str, Any] = (yaml.safe_load(found["options"]) or {}).get("options", {})
        return documented(found["name"], options) + "\n"

    return DIRECTIVE.sub(documentation, text + "\n")


def _keep(text: str, kept: list[str]) -> str:
    kept.append(text)
    return f"\x00{len(kept) - 1}\x00"


def _with_links(text: str, kept: list[str], address_of: Callable[[str], str | None]) -> str:
    """Replace references to names, such as `[text][rnnkit.Kind]`, by links."""

    def link(found: re.Match[str]) -> str:
        words = PLACE.sub(lambda place: kept[int(place[1])], found["text"])
        address = address_of(found["name"] or words.strip("`"))
        return found[0] if address is None else f"[{found['text']}]({address})"

    return REFERENCE.sub(link, text)


def _without_html(text: str) -> str:
    """Remove HTML for layout, and replace each drawing by its title and description."""
    text = DRAWING.sub(lambda found: _words_of(found[0]), text)
    for pattern in (COMMENT, INVISIBLE, AROUND, CAPTION, ATTRIBUTES):
        text = pattern.sub("", text)
    return text


def _words_of(drawing: str) -> str:
    said = [" ".join(unescape(words).split()) for _, words in SAID.findall(drawing)]
    return f"> Drawing: {' '.join(each if each.endswith('.') else f'{each}.' for each in said)}\n" if said else ""
