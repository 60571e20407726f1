"""The equation of one step, its symbols, and a drawing of the step."""

from __future__ import annotations

import re
from html import escape
from textwrap import dedent

from rnnkit.equation import UnreadableEquationError
from rnnkit_cards.card_context import CardContext
from rnnkit_cards.drawing import Drawing, draw_step
from rnnkit_cards.links import Links
from rnnkit_cards.markdown import code, collapsed, figure, side_by_side, table
from rnnkit_cards.symbols import SymbolRow, symbol_rows

_ENVIRONMENT = re.compile(r"\\begin\{(aligned|align\*?|split|gathered|gather\*?|equation\*?)\}")


def equation(card: CardContext, links: Links) -> str:
    """The equation of one step, its drawing, and every symbol explained; a note if the kind has no equation."""
    if not card.record.equation.strip():
        return f"## Equation\n\n{_no_equation(card, links)}"
    latex = f"$$\n{aligned(card.record.equation)}\n$$"
    drawing = _drawing(card)
    shown = side_by_side(latex, _figure(card, drawing, links)) if drawing else latex
    return "\n\n".join(["## Equation", shown, collapsed("Symbols, shapes and parameters", _explained(card, drawing))])


def _drawing(card: CardContext) -> Drawing | None:
    """A drawing of one step; None if the equation cannot be drawn."""
    try:
        return draw_step(card.record.equation, title=f"One step of {card.name}")
    except UnreadableEquationError:
        return None


def _figure(card: CardContext, drawing: Drawing, links: Links) -> str:
    # the script that highlights lines is part of rnnkit's site only
    hint = " Point at a line of the equation to highlight it." if links.base is not None else ""
    return figure(drawing.svg, f"One step of <code>{escape(card.name)}</code>.{hint}")


def _explained(card: CardContext, drawing: Drawing | None) -> str:
    rows = symbol_rows(card)
    parts = [_symbols(rows)]
    if any(row.parameter for row in rows):
        parts.append(f"Shapes are those of the first layer; its parameters are in {code(_module_path(card))}.")
    if drawing:
        parts.append(f"In the drawing, {drawing.legend[0].lower()}{drawing.legend[1:]}")
    return "\n\n".join(parts)


def aligned(latex: str) -> str:
    """The LaTeX of an equation in an environment that aligns its lines."""
    lines = dedent(latex).strip()
    return lines if _ENVIRONMENT.match(lines) else f"\\begin{{aligned}}\n{lines}\n\\end{{aligned}}"


def _symbols(rows: list[SymbolRow]) -> str:
    has_parameters = any(row.parameter for row in rows)
    has_shapes = any(row.shape for row in rows)
    headings = ["symbol", "meaning", *["shape"] * has_shapes, *["parameter"] * has_parameters]
    return table(headings, [_cells(row, shapes=has_shapes, parameters=has_parameters) for row in rows])


def _cells(row: SymbolRow, *, shapes: bool, parameters: bool) -> list[str]:
    symbols = ", ".join(rf"\({symbol}\)" for symbol in row.symbols)
    return [symbols, row.meaning, *[row.shape] * shapes, *[row.parameter] * parameters]


def _module_path(card: CardContext) -> str:
    return "model.backbone" if card.step_module is card.layer.backbone else "model.backbone.cells[0]"


def _no_equation(card: CardContext, links: Links) -> str:
    """Links to the equations of the cells, for a stack of several kinds of cells."""
    names = card.cell_kinds if card.cells else []
    if not names:
        return "The record of this kind has no equation."
    layers = ", then ".join(links.beside(f"{name}.md", code(name), "equation") for name in names)
    return (
        "The kind as a whole has no equation: each layer is a cell of another kind. With the default options, from the "
        f"bottom up: {layers}, and so on in turn. See their cards for equations and drawings."
    )
