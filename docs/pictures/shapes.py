"""Boxes, arrows and words in SVG, in the colours of the page that they stand in."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]

STYLE = """\
text { font-family: var(--md-text-font, Inter), system-ui, sans-serif; font-size: 13px; \
fill: var(--md-default-fg-color, #222); text-anchor: middle; }
.small { font-size: 12px; fill: var(--rnnkit-line, #4a5a60); }
.strong { font-weight: 650; font-size: 14px; }
.code { font-family: var(--md-code-font, "JetBrains Mono"), monospace; font-size: 12px; \
fill: var(--rnnkit-line, #4a5a60); }
.start { text-anchor: start; }
rect { fill: var(--rnnkit-surface, #f4f8f8); stroke-width: 1.6; }
path { fill: none; stroke-width: 1.6; }
.line { stroke: var(--rnnkit-line, #4a5a60); }
.state { stroke: var(--rnnkit-state, #0b7285); }
.input { stroke: var(--rnnkit-input, #a8560b); }
.gate { stroke: var(--rnnkit-gate, #6741b0); }
.output { stroke: var(--rnnkit-output, #17713d); }
.edge { stroke: var(--rnnkit-edge, #cfdcdd); }
.dashed { stroke-dasharray: 5 4; }
.empty { fill: none; }
polygon { stroke: none; }
polygon.line { fill: var(--rnnkit-line, #4a5a60); }
polygon.state { fill: var(--rnnkit-state, #0b7285); }
polygon.input { fill: var(--rnnkit-input, #a8560b); }
polygon.gate { fill: var(--rnnkit-gate, #6741b0); }
polygon.output { fill: var(--rnnkit-output, #17713d); }"""


def drawing(name: str, width: int, height: int, words: str, parts: Sequence[str]) -> str:
    """A whole drawing.

    Args:
        name: a class that no other drawing of a page has, so that its style is its own.
        width: of the picture.
        height: of the picture.
        words: what it shows, for who does not see it.
        parts: elements, from the back to the front.
    """
    style = "\n".join(f".{name} {line}" for line in STYLE.splitlines())
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    head = f'<svg class="{name}" xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{words}">'
    return "\n".join([head, f"<style>\n{style}\n</style>", *parts, "</svg>\n"])


def rect(x: float, y: float, width: float, height: float, css: str) -> str:
    """A box around a middle."""
    corner = f'x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" height="{height:g}"'
    return f'<rect class="{css}" {corner} rx="8"/>'


def text(x: float, y: float, words: str, css: str = "") -> str:
    """Words on a line around, or from, a point."""
    css = f' class="{css}"' if css else ""
    return f'<text{css} x="{x:g}" y="{y:g}">{words}</text>'


def arrow(points: Sequence[Point], css: str = "line", *, both: bool = False) -> str:
    """A line along the axes through points, with a head at its end, or at both ends."""
    line = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
    heads = head(points[-2], points[-1], css) + (head(points[1], points[0], css) if both else "")
    return f'<path class="{css}" d="{line}"/>{heads}'


def head(before: Point, at: Point, css: str) -> str:
    """The head of an arrow that comes from one point and ends at another, straight across or straight down."""
    (x0, y0), (x, y) = before, at
    across, down = (x > x0) - (x < x0), (y > y0) - (y < y0)
    wings = [(x - 8 * across + side * 4.5 * down, y - 8 * down + side * 4.5 * across) for side in (1, -1)]
    corners = " ".join(f"{a:g},{b:g}" for a, b in [(x, y), *wings])
    return f'<polygon class="{css.split(maxsplit=1)[0]}" points="{corners}"/>'
