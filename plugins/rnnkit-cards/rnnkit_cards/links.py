"""Links from a card to rnnkit's documentation, if the card is part of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Links(NamedTuple):
    """How a card links to other pages.

    Attributes:
        base: path from the card to rnnkit's documentation, such as `..`; None: no links.
    """

    base: str | None = None

    def to(self, page: str, text: str) -> str:
        """A link to a page of rnnkit's documentation, such as `how_to/streams.md`; the text alone without links."""
        return text if self.base is None else f"[{text}]({self.base}/{page})"

    def beside(self, page: str, text: str, anchor: str = "") -> str:
        """A link to another page in the same folder; the text alone without links."""
        return text if self.base is None else f"[{text}]({page}{'#' if anchor else ''}{anchor})"


NO_LINKS = Links()
# pages that only rnnkit's own documentation has
_RNNKIT_PAGES = ("plugins/compatibility.md", "reference/hooks.md")


def links_for(folder: str | os.PathLike[str]) -> Links:
    """Links for cards in a folder: relative ones if its parent is rnnkit's documentation, else none."""
    docs = Path(folder).parent
    return Links("..") if all((docs / page).exists() for page in _RNNKIT_PAGES) else NO_LINKS
