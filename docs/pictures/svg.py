"""Elements of the drawings that stand in pages: SVG in the colours of the page around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

# names of `rnnkit.css`; the values are for where a drawing stands by itself
COLOURS = {
    "state": "var(--rnnkit-state, #0b7285)",
    "input": "var(--rnnkit-input, #a8560b)",
    "gate": "var(--rnnkit-gate, #6741b0)",
    "output": "var(--rnnkit-output, #17713d)",
    "line": "var(--rnnkit-line, #4a5a60)",
    "edge": "var(--rnnkit-edge, #cfdcdd)",
    "surface": "var(--rnnkit-surface, #f4f8f8)",
    "text": "var(--md-default-fg-color, #222)",
    "page": "var(--md-default-bg-color, #fff)",
}
STYLE = "font-family: var(--md-text-font, Inter), system-ui, sans-serif; max-width: 100%; min-width: 0"


def drawing(width: float, height: float, title: str, description: str, parts: Iterable[str]) -> str:
    """A whole drawing; the description is for who does not see it."""
    words = f"<title>{escape(title)}</title>\n<desc>{escape(description)}</desc>"
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}" style="{STYLE}">'
    return "\n".join([head, words, *parts, "</svg>\n"])


def text(x: float, y: float, words: str, *, colour: str = "text", size: float = 16, anchor: str = "start") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{COLOURS[colour]}" font-size="{size:g}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def rect(
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    fill: str = "surface",
    stroke: str = "",
    strength: float = 1,
    radius: float = 0,
) -> str:
    """A rectangle; `strength` is how much of its colour is seen, from 0 to 1."""
    edge = f' stroke="{COLOURS[stroke]}"' if stroke else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
        f'fill="{COLOURS[fill]}" fill-opacity="{strength:g}"{edge}/>'
    )


def line(points: Sequence[tuple[float, float]], colour: str = "line", *, width: float = 1.5, dashes: str = "") -> str:
    """A line through points."""
    path = "M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<path d="{path}" fill="none" stroke="{COLOURS[colour]}" stroke-width="{width:g}" '
        f'stroke-linejoin="round"{dashed}/>'
    )


def arrow(start: tuple[float, float], end: tuple[float, float], colour: str = "line") -> str:
    """A straight arrow, along one of the axes."""
    (x, y), (dx, dy) = end, ((end[0] > start[0]) - (end[0] < start[0]), (end[1] > start[1]) - (end[1] < start[1]))
    wings = [(x - 7 * dx - 4 * dy, y - 7 * dy - 4 * dx), (x - 7 * dx + 4 * dy, y - 7 * dy + 4 * dx)]
    corners = " ".join(f"{a:g},{b:g}" for a, b in [end, *wings])
    return line([start, (x - 5 * dx, y - 5 * dy)], colour) + f'<polygon points="{corners}" fill="{COLOURS[colour]}"/>'


def dot(x: float, y: float, colour: str, radius: float = 3) -> str:
    return f'<circle cx="{x:.4g}" cy="{y:.4g}" r="{radius:g}" fill="{COLOURS[colour]}"/>'
