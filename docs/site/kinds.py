"""Writes the model cards, the table of kinds and the gallery into `docs/kinds`.

`python -m docs.site.kinds` writes the pages that are out of date, `--check` lists them, and `--measure` first measures
every kind, which takes some minutes on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from docs.site.compare import data_text
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

REPEATED = ("Options", "Example", "Shapes", "Capabilities", "Speed", "Parameters", "Learning curve")
FOLDER = Path(__file__).parents[1] / "kinds"
COMPARED = "assets/javascripts/compare_data.js"
# the card links to the page of the plugin, which no other project has
OF_EXAMPLE = "- **Provided by:** `rnnkit-nbrc`\n"
LINKED = "- **Provided by:** [`rnnkit-nbrc`](../plugins/example.md), the example plugin\n"


def pages(folder: Path = FOLDER) -> Iterator[tuple[Path, str]]:
    """Yield each page and its text; the kinds must be installed, as in `example_installed`."""
    measured = {kind: load_measurements(measurements_path(folder, kind)) for kind in ENTRIES}
    for kind, measurements in measured.items():
        card = card_text(kind, measurements, links=links_for(FOLDER))
        yield card_path(folder, kind), _for_search(card).replace(OF_EXAMPLE, LINKED)
    yield folder / "index.md", index_text(measured)
    yield folder / "gallery.md", gallery_text(measured)
    yield folder.parent / COMPARED, data_text(measured)


def _for_search(card: str) -> str:
    """Return a card whose sections that say the same on every card are excluded from the search."""
    for section in REPEATED:
        card = card.replace(f"\n## {section}\n", f"\n## {section} {{ data-search-exclude }}\n")
    return card.replace('<details markdown="1">', '<details markdown="1" data-search-exclude>')


def take_measurements(kinds: Iterable[str], folder: Path = FOLDER) -> None:
    """Measure kinds and write the measurements next to their cards."""
    for kind in kinds:
        found: Measurements = measure(kind, progress=print)
        save_measurements(found, measurements_path(folder, kind))


def stale(folder: Path = FOLDER) -> list[tuple[Path, str]]:
    """Return the pages that are out of date, with their text."""
    return [(page, text) for page, text in pages(folder) if not page.exists() or page.read_text("utf-8") != text]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.site.kinds", description=str(__doc__).splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="measure every kind first")
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
