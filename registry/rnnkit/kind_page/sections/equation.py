"""What a step computes: the equation, its symbols, and a drawing of it."""

from __future__ import annotations

import re
from html import escape
from textwrap import dedent

from rnnkit.equation import UnreadableEquationError
from rnnkit.kind_page.drawing import draw_step
from rnnkit.kind_page.links import Links
from rnnkit.kind_page.markdown import code, figure, table
from rnnkit.kind_page.specimen import Specimen
from rnnkit.kind_page.symbols import SymbolRow, module_of, symbol_rows

_ENVIRONMENT = re.compile(r"\\begin\{(aligned|align\*?|split|gathered|gather\*?|equation\*?)\}")


def equation(kind: Specimen, links: Links) -> str:
    """The equation of one step, with every symbol explained; or where to look instead."""
    if not kind.record.equation.strip():
        return f"## Equation\n\n{_instead(kind, links)}"
    rows = symbol_rows(kind)
    parts = ["## Equation", f"$$\n{_aligned(kind.record.equation)}\n$$", _symbols(rows)]
    if any(row.parameter for row in rows):
        parts.append(f"Shapes are those of the lowest layer, whose parameters are those of {code(_path(kind))}.")
    return "\n\n".join(parts)


def one_step(kind: Specimen) -> str:
    """A drawing of one step; empty: there is no equation that can be drawn."""
    if not kind.record.equation.strip():
        return ""
    try:
        svg = draw_step(kind.record.equation, title=f"One step of {kind.name}")
    except UnreadableEquationError:
        return ""
    caption = (
        f"One step of <code>{escape(kind.name)}</code>, drawn from the equation: the state comes in at the left and "
        "goes on at the right. Boxes have weights, what is round works feature by feature; a small plus on a box adds "
        "what comes in as it is, a small cross gives each feature one weight."
    )
    return f"## One step\n\n{figure(svg, caption)}"


def _aligned(latex: str) -> str:
    lines = dedent(latex).strip()
    return lines if _ENVIRONMENT.match(lines) else f"\\begin{{aligned}}\n{lines}\n\\end{{aligned}}"


def _symbols(rows: list[SymbolRow]) -> str:
    has_parameters = any(row.parameter for row in rows)
    has_shapes = any(row.shape for row in rows)
    heads = ["symbol", "what it is", *["shape"] * has_shapes, *["parameter"] * has_parameters]
    return table(heads, [_cells(row, shapes=has_shapes, parameters=has_parameters) for row in rows])


def _cells(row: SymbolRow, *, shapes: bool, parameters: bool) -> list[str]:
    symbols = ", ".join(rf"\({symbol}\)" for symbol in row.symbols)
    return [symbols, row.words, *[row.shape] * shapes, *[row.parameter] * parameters]


def _path(kind: Specimen) -> str:
    return "model.backbone.cells[0]" if module_of(kind) is not kind.layer.backbone else "model.backbone"


def _instead(kind: Specimen, links: Links) -> str:
    """Which equations hold in a stack of several sorts of cells; else that there is none."""
    names = kind.kinds_of_cells if kind.cells else []
    if not names:
        return "Its record gives no equation."
    layers = ", then ".join(links.beside(f"{name}.md", code(name), "equation") for name in names)
    return (
        "There is none for the whole: each layer is a cell of another kind, and computes the equation of that. With "
        f"the defaults, from the bottom up: {layers}, and so on in turn. Their pages have equations and drawings."
    )
