"""Links from the page of a kind to rnnkit's own documentation, where that lies beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Links(NamedTuple):
    """How a page speaks of other pages.

    Attributes:
        base: where rnnkit's documentation lies, from the page, as `..`; None: elsewhere, and so there are no links.
    """

    base: str | None = None

    def to(self, page: str, text: str) -> str:
        """A link to a page of rnnkit's documentation, such as `how_to/streams.md`; or its text alone."""
        return text if self.base is None else f"[{text}]({self.base}/{page})"

    def beside(self, page: str, text: str, anchor: str = "") -> str:
        """A link to another page of the same folder, where that is rnnkit's; or its text alone."""
        return text if self.base is None else f"[{text}]({page}{'#' if anchor else ''}{anchor})"


NO_LINKS = Links()
# what tells rnnkit's own documentation from that of a plugin
_OF_RNNKIT = ("plugins/promises.md", "reference/hooks.md")


def links_beside(folder: str | os.PathLike[str]) -> Links:
    """The links of pages in a folder: those of `docs/kinds` to the pages of `docs`, if that is rnnkit's."""
    beside = Path(folder).parent
    return Links("..") if all((beside / page).exists() for page in _OF_RNNKIT) else NO_LINKS
