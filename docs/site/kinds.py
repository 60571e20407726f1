"""Writes the pages of all kinds and the page to choose by, into `docs/kinds`.

`python -m docs.site.kinds` writes what is not up to date, `--check` says what is not, and `--measure` first takes new
measurements of every kind, which takes some minutes and wants a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from docs.site.example_plugin import example_installed
from docs.site.gallery import gallery_text
from docs.site.kinds_index import ENTRIES, index_text
from rnnkit_cards import (
    Measurements,
    card_path,
    card_text,
    links_for,
    load_measurements,
    measure,
    measurements_path,
    save_measurements,
)

FOLDER = Path(__file__).parents[1] / "kinds"
# the card links to the page of the plugin, which no other project has
OF_EXAMPLE = "- **Provided by:** `rnnkit-nbrc`\n"
LINKED = "- **Provided by:** [`rnnkit-nbrc`](../plugins/example.md), the example plugin\n"


def pages(folder: Path = FOLDER) -> Iterator[tuple[Path, str]]:
    """Each page and what should stand in it; the kinds must be there, as `example_installed` has them."""
    measured = {kind: load_measurements(measurements_path(folder, kind)) for kind in ENTRIES}
    for kind, measurements in measured.items():
        card = card_text(kind, measurements, links=links_for(FOLDER))
        yield card_path(folder, kind), card.replace(OF_EXAMPLE, LINKED)
    yield folder / "index.md", index_text(measured)
    yield folder / "gallery.md", gallery_text(measured)


def take_measurements(kinds: Iterable[str], folder: Path = FOLDER) -> None:
    """Measure some kinds and write the measurements beside their pages."""
    for kind in kinds:
        found: Measurements = measure(kind, progress=print)
        save_measurements(found, measurements_path(folder, kind))


def stale(folder: Path = FOLDER) -> list[tuple[Path, str]]:
    """The pages in which something else stands than should."""
    return [(page, text) for page, text in pages(folder) if not page.exists() or page.read_text("utf-8") != text]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.site.kinds", description=str(__doc__).splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="take new measurements first")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a page is not up to date")
    arguments = parser.parse_args()
    with example_installed():
        if arguments.measure:
            take_measurements(ENTRIES)
        found = stale()
    for page, text in found:
        if not arguments.check:
            page.write_text(text, encoding="utf-8", newline="\n")
        print(f"{page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page}: ", end="")
        print("not up to date" if arguments.check else "written")
    if arguments.check and found:
        print("Update them with `python -m docs.site.kinds`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
