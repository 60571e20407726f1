"""The gallery: the drawing of one step of each kind, by family."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

from docs.site.kinds_index import FAMILIES
from rnnkit import get_kind
from rnnkit.equation import UnreadableEquationError
from rnnkit_cards import draw_step

FRONT_MATTER = """\
---
description: "The computation of one step of every kind, drawn from its equation, side by side."
styles: [assets/stylesheets/kinds.css]
hide: [toc]
search: { exclude: true }
---

# Gallery of steps

One step of each kind, drawn from its equation. The model card of each kind has a legend. Kinds whose equation cannot be
drawn, such as those with a loop inside the step, are listed below their family.
"""


def gallery_text(kinds: Iterable[str]) -> str:
    """Return the page with the drawings of some kinds."""
    by_family: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for name in kinds:
        if (family := get_kind(name).family) in by_family:
            by_family[family].append(name)
    sections = [line for family, names in by_family.items() for line in _section(family, names)]
    return "\n".join([FRONT_MATTER, *sections])


def _section(family: str, names: list[str]) -> Iterator[str]:
    by_equation: dict[str, list[str]] = {}  # such as `lstm` and `lstm_cell`
    for name in names:
        by_equation.setdefault(get_kind(name).equation, []).append(name)
    drawings = [(same, _drawing(same[0])) for same in by_equation.values()]
    yield f"## [{FAMILIES[family]}](families/{family}.md)\n"
    yield '<div class="rnnkit-gallery">'
    yield from (_figure(same, svg) for same, svg in drawings if svg)
    yield "</div>\n"
    missing = [name for same, svg in drawings for name in same if not svg]
    if missing:
        yield f"Not drawn: {', '.join(f'[`{name}`]({name}.md)' for name in missing)}.\n"


def _figure(names: list[str], svg: str) -> str:
    bare = [escape(name.rpartition("/")[2]) for name in names]
    links = ", ".join(f'<a href="{name}.html"><code>{name}</code></a>' for name in bare)
    # a wide drawing scrolls, so the keyboard must reach it
    scrolling = f'<div role="group" tabindex="0" aria-label="One step of {", ".join(bare)}">\n{svg}\n</div>'
    return f"<figure>\n{scrolling}\n<figcaption>{links}</figcaption>\n</figure>"


def _drawing(name: str) -> str:
    equation = get_kind(name).equation
    if not equation.strip():
        return ""
    try:
        svg = draw_step(equation, title=f"One step of {name}").svg
    except UnreadableEquationError:
        return ""
    # larger than on the cards, where nested subscripts are small
    return re.sub(r'width="(\d+)"(.*?)min-width:\d+px', _wider, svg, count=1)


def _wider(match: re.Match[str]) -> str:
    return f'width="{match[1]}"{match[2]}min-width:{round(1.45 * int(match[1]))}px'
