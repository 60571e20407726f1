"""Renders a scene as SVG, in the colors of the page that contains it, or in default colors for a light background."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from html import escape

from rnnkit_cards.drawing.alt_text import node_text
from rnnkit_cards.drawing.geometry import XY, Area, offset_point
from rnnkit_cards.drawing.graph import NodeType
from rnnkit_cards.drawing.grid import Grid, Mark, Shape, Side
from rnnkit_cards.drawing.labels import Label, Role
from rnnkit_cards.drawing.math_text import Run, Text
from rnnkit_cards.drawing.pieces import Lines
from rnnkit_cards.drawing.scene import SIGN_RADIUS, Line, Scene, Sign
from rnnkit_cards.drawing.sizes import BLOCK_FONT_SIZE, Sizes

_INK = "var(--md-default-fg-color, #222)"
_PAPER = "var(--md-default-bg-color, #fff)"
_SURFACE = "var(--rnnkit-surface, #f4f8f8)"
_EDGE = "var(--rnnkit-edge, #cfdcdd)"
_COLORS = {
    Role.STATE: "var(--rnnkit-state, #0b7285)",
    Role.INPUT: "var(--rnnkit-input, #a8560b)",
    Role.LAYER: "var(--rnnkit-gate, #6741b0)",
    Role.OUTPUT: "var(--rnnkit-output, #17713d)",
    Role.OTHER: "var(--rnnkit-line, #4a5a60)",
}
_UPRIGHT = "KaTeX_Main, 'Latin Modern Roman', Cambria, Georgia, 'DejaVu Serif', serif"
_ITALIC = "KaTeX_Math, 'Latin Modern Math', Cambria, Georgia, 'DejaVu Serif', serif"
_SCALE, _WIDEST, _NARROWEST = 1.15, 760.0, 0.7
_CORNER, _FORK = 9.0, 3.4
_SHIFT = {0: 0.0, -1: 0.22, 1: -0.38}  # of subscripts and superscripts, relative to the font size
_SMALL = 0.72


def render_svg(scene: Scene, grid: Grid, sizes: Sizes, *, title: str, description: str, rows: Iterable[int]) -> str:
    """Render a scene as one element without empty lines.

    Each element has the indices of its lines of the equation in `data-lines`, and the whole has in `data-rows` the
    number of rows of each line, so that a page can find the elements of a line.
    """
    parts = [
        _opening(scene.view, rows),
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(description)}</desc>",
        _rectangle(scene.cell, 16, f"fill:{_SURFACE};stroke:{_EDGE};stroke-width:1.5"),
        *_lines(scene.lines),
        *_blocks(scene, grid, sizes),
        *(_mark(sign) for sign in scene.signs),
        *_labels(scene.labels),
        "</svg>",
    ]
    return "\n".join(parts)


def _opening(view: Area, rows: Iterable[int]) -> str:
    width, height = view.right - view.left, view.bottom - view.top
    shown = min(width * _SCALE, _WIDEST)
    # visible overflow: fallback fonts are wider than those that the labels were measured for
    box = " ".join(_number(each) for each in (view.left, view.top, width, height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rnnkit-step" role="img" viewBox="{box}" '
        f'width="{shown:.0f}" height="{shown * height / width:.0f}" overflow="visible" '
        f'style="min-width:{shown * _NARROWEST:.0f}px" data-rows="{_list(rows)}">'
    )


def _list(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def _data(lines: Lines) -> str:
    return f'data-lines="{_list(sorted(lines))}"'


def _lines(lines: Iterable[Line]) -> Iterator[str]:
    """The wires; joined ones come first, so that colored ones are drawn over them."""
    for line in sorted(lines, key=lambda line: line.role is not Role.OTHER):
        color = _COLORS[line.role]
        width = 2.2 if line.role is Role.STATE else 1.8
        yield f'<g class="rnnkit-step-wire" style="fill:none;stroke:{color};stroke-width:{width}">'
        yield from (f'<path {_data(each.lines)} d="{_rounded(each.path, line.forks)}"/>' for each in line.strokes)
        yield f'<g style="fill:{color};stroke:none">'
        yield from (f'<path {_data(each.lines)} d="{_head(*each.head)}"/>' for each in line.strokes if each.head)
        for (x, y), found in line.forks.items():
            yield f'<circle {_data(found)} cx="{_number(x)}" cy="{_number(y)}" r="{_FORK}"/>'
        yield "</g></g>"


def _blocks(scene: Scene, grid: Grid, sizes: Sizes) -> Iterator[str]:
    for number, area in scene.areas.items():
        block = grid.blocks[number]
        is_layer = block.shape is Shape.BOX
        yield f'<g class="rnnkit-step-block" {_data(grid.graph.lines[block.node])}>'
        yield f"<title>{escape(node_text(grid.graph, block.node))}</title>"
        color = _COLORS[Role.LAYER if is_layer else Role.OTHER]
        radius = 6.0 if is_layer else (area.bottom - area.top) / 2
        yield _rectangle(area, radius, f"fill:{_PAPER}")
        fill = f"fill:{color};fill-opacity:.1" if is_layer else "fill:none"
        yield _rectangle(area, radius, f"{fill};stroke:{color};stroke-width:1.8")
        yield from _inside(grid, sizes, number, area)
        yield "</g>"


def _inside(grid: Grid, sizes: Sizes, number: int, area: Area) -> Iterator[str]:
    x, y = (area.left + area.right) / 2, (area.top + area.bottom) / 2
    if sizes.texts[number]:
        yield _text(sizes.texts[number], (x, y), BLOCK_FONT_SIZE, "middle", _INK)
    else:
        is_sum = grid.graph.nodes[grid.blocks[number].node].type is NodeType.ADD
        yield f'<path d="{_sign((x, y), is_sum=is_sum, size=1.0)}" style="fill:none;stroke:{_INK};stroke-width:1.8"/>'


def _sign(at: XY, *, is_sum: bool, size: float) -> str:
    """The path of a plus or a cross."""
    x, y = at
    straight, askew = 5 * size, 4 * size
    if is_sum:
        return f"M{_pair((x - straight, y))}h{2 * straight:g}M{_pair((x, y - straight))}v{2 * straight:g}"
    return f"M{_pair((x - askew, y - askew))}l{2 * askew:g} {2 * askew:g}m0-{2 * askew:g}l-{2 * askew:g} {2 * askew:g}"


def _mark(sign: Sign) -> str:
    """A small plus or cross on the edge of a box."""
    x, y = sign.at
    circle = f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{_number(SIGN_RADIUS)}"/>'
    path = f'<path d="{_sign(sign.at, is_sum=sign.mark is Mark.ADDED, size=0.6)}"/>'
    style = f"fill:{_PAPER};stroke:{_COLORS[Role.LAYER]};stroke-width:1.5"
    return f'<g class="rnnkit-step-sign" {_data(sign.lines)} style="{style}">{circle}{path}</g>'


def _labels(labels: Iterable[Label]) -> Iterator[str]:
    for each in labels:
        text = _text(each.text, each.at, each.size, each.anchor, _COLORS[each.role])
        yield text.replace("<text", f"<text {_data(each.lines)}", 1)


def _text(text: Text, at: XY, size: float, anchor: str, color: str) -> str:
    pieces, level = "", 0
    for run in text:
        pieces += _piece(run, (_SHIFT[run.level] - _SHIFT[level]) * size, size)
        level = run.level
    x, y = at
    place = f'x="{_number(x)}" y="{_number(y + 0.33 * size)}" text-anchor="{anchor}"'
    return f'<text {place} style="fill:{color};font:{_number(size)}px {_UPRIGHT}">{pieces}</text>'


def _piece(run: Run, shift: float, size: float) -> str:
    styles = [f"font-family:{_ITALIC};font-style:italic"] if run.italic else []
    styles += [f"font-size:{_number(size * _SMALL)}px"] if run.level else []
    styles += ["font-weight:bold"] if run.bold else []
    style = f' style="{";".join(styles)}"' if styles else ""
    dy = f' dy="{_number(shift)}"' if shift else ""
    return f"<tspan{dy}{style}>{escape(run.text)}</tspan>" if style or dy else escape(run.text)


def _rectangle(area: Area, radius: float, style: str) -> str:
    size = f'width="{_number(area.right - area.left)}" height="{_number(area.bottom - area.top)}"'
    return f'<rect x="{_number(area.left)}" y="{_number(area.top)}" {size} rx="{_number(radius)}" style="{style}"/>'


def _head(at: XY, side: Side) -> str:
    back = offset_point(at, side.opposite, 8.0)
    beside = Side((side + 1) % 4)
    corners = (at, offset_point(back, beside, 4.0), offset_point(back, beside.opposite, 4.0))
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in corners) + "Z"


def _rounded(path: tuple[XY, ...], forks: Container[XY]) -> str:
    """A path with rounded corners, but sharp ones at forks."""
    d = f"M{_pair(path[0])}"
    for before, corner, after in zip(path, path[1:], path[2:], strict=False):
        room = min(_CORNER, _distance(before, corner) / 2, _distance(corner, after) / 2)
        radius = 0.0 if corner in forks else room
        d += f"L{_pair(_towards(corner, before, radius))}Q{_pair(corner)} {_pair(_towards(corner, after, radius))}"
    return f"{d}L{_pair(path[-1])}"


def _distance(one: XY, other: XY) -> float:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _towards(one: XY, other: XY, by: float) -> XY:
    share = by / (_distance(one, other) or 1.0)
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def _pair(point: XY) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _number(number: float) -> str:
    """A number with at most one decimal."""
    return f"{number:.1f}".removesuffix(".0").replace("-0.0", "0")
