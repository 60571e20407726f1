"""Draws the picture of Home, a network unrolled over a row with padding: `python docs/pictures/unrolled.py`."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_suffix(".svg")
STEPS, VALID, LAYERS = 6, 4, 2
WIDTH, HEIGHT = 1080, 286
CELL = (74, 44)  # width and height
LEFT, ACROSS = 330, 104  # where the first step is, and from one to the next
BOTTOM, UP = 214, 76  # where the inputs are, and from one row to the next above
DIGITS = "₁₂₃₄₅₆"
STYLE = """\
.un text { font-family: var(--md-text-font, Inter), system-ui, sans-serif; font-size: 14px; \
fill: var(--md-default-fg-color, #222); text-anchor: middle; }
.un .small { font-size: 13px; fill: var(--rnnkit-line, #4a5a60); }
.un .code { font-family: var(--md-code-font, "JetBrains Mono"), monospace; font-size: 13px; }
.un .start { text-anchor: start; }
.un path { fill: none; stroke: var(--rnnkit-line, #4a5a60); stroke-width: 1.6; }
.un .box { fill: var(--rnnkit-surface, #f4f8f8); stroke-width: 1.6; }
.un .input { stroke: var(--rnnkit-input, #a8560b); }
.un .cell { stroke: var(--rnnkit-state, #0b7285); }
.un .readout { stroke: var(--rnnkit-output, #17713d); }
.un .padding { stroke: var(--rnnkit-edge, #cfdcdd); stroke-dasharray: 4 4; fill: none; }
.un .last { stroke: var(--rnnkit-output, #17713d); stroke-width: 2.4; }
.un .chip { stroke: var(--rnnkit-gate, #6741b0); }
.un .which { fill: none; stroke: var(--rnnkit-gate, #6741b0); stroke-dasharray: 5 4; }
.un circle.which { fill: var(--rnnkit-gate, #6741b0); stroke: none; }
.un .arrow { fill: var(--rnnkit-line, #4a5a60); }
.un .arrow.last { fill: var(--rnnkit-output, #17713d); stroke: none; }"""
CHIPS = ("lstm", "gru", "rnn", "lstm_cell", "gru_cell", "rnn_cell", "mixed", "rnnkit-mgu/mgu", "your own")
WORDS = (
    "A row of six steps, the last two of them padding, goes through two layers of cells. Each cell gives its state to "
    "the next step and its output to the layer above. The readout takes the last valid step, the fourth. What kind of "
    "cell it is, is one word of the spec."
)


def box(x: float, y: float, label: str, kind: str, *, size: tuple[float, float] = CELL, css: str = "") -> str:
    """A box around a middle, with a word in it."""
    width, height = size
    rect = f'<rect class="box {kind}" x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" '
    text = f'<text class="{css}" x="{x:g}" y="{y + 5:g}">{label}</text>' if label else ""
    return f'{rect}height="{height:g}" rx="8"/>{text}'


def arrow(points: list[tuple[float, float]], kind: str = "") -> str:
    """A line through points, with a head at its end."""
    line = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
    (x0, y0), (x, y) = points[-2:]
    across, down = (x > x0) - (x < x0), (y > y0) - (y < y0)
    wings = f"{x - 7 * across + 4 * down:g},{y - 7 * down + 4 * across:g}"
    wings += f" {x - 7 * across - 4 * down:g},{y - 7 * down - 4 * across:g}"
    head = "" if kind == "padding" else f'<polygon class="arrow {kind}" points="{x:g},{y:g} {wings}"/>'
    return f'<path class="{kind}" d="{line}"/>{head}'


def step_at(step: float) -> float:
    return LEFT + step * ACROSS


def row_at(row: int) -> float:
    """The inputs are row 0, the layers those above."""
    return BOTTOM - row * UP


def cells() -> list[str]:
    parts = []
    for step in range(STEPS):
        padding = "padding" if step >= VALID else ""
        x = step_at(step)
        parts.append(box(x, row_at(0), "" if padding else f"x{DIGITS[step]}", padding or "input", size=(74, 32)))
        for row in range(1, LAYERS + 1):
            parts.append(box(x, row_at(row), "" if padding else "cell", padding or "cell"))
            below = 16 if row == 1 else CELL[1] / 2
            parts.append(arrow([(x, row_at(row - 1) - below), (x, row_at(row) + CELL[1] / 2)], padding))
    return parts


def states() -> list[str]:
    """The arrows from one step to the next, and out of the last valid one."""
    half = CELL[0] / 2
    return [
        arrow([(step_at(step) + half, row_at(row)), (step_at(step + 1) - half, row_at(row))])
        for row in range(1, LAYERS + 1)
        for step in range(VALID - 1)
    ]


def readout() -> list[str]:
    x, top = step_at(VALID - 1), row_at(LAYERS) - CELL[1] / 2
    right, y = step_at(STEPS - 1) + 112, 26
    return [
        arrow([(x, top), (x, y), (right - 58, y)], "last"),
        box(right, y, "readout", "readout", size=(116, 34)),
        arrow([(right, y + 17), (right, row_at(1) - 26)], ""),
        box(right, row_at(1) - 8, "linear", "readout", size=(116, 34)),
        arrow([(right, row_at(1) + 9), (right, row_at(0) - 16)], ""),
        f'<text x="{right:g}" y="{row_at(0) + 5:g}">y</text>',
        f'<text class="small" x="{(x + right) / 2 - 16:g}" y="{y - 8:g}">the last valid step</text>',
        f'<text class="small" x="{step_at(STEPS - 1.5):g}" y="{BOTTOM + 42:g}">padding changes nothing</text>',
        f'<text class="small" x="{step_at(1.5):g}" y="{BOTTOM + 42:g}">a row of a batch, step after step</text>',
    ]


def chips() -> list[str]:
    parts = ['<text class="small start" x="24" y="30">kind = one of</text>']
    for number, name in enumerate(CHIPS):
        narrow = number < len(CHIPS) - 2  # two of them side by side
        x, width = (24 + 103 * (number % 2), 95) if narrow and number < 6 else (24, 198)
        y = 44 + 38 * (number // 2 if number < 6 else number - 3)
        parts.append(box(x + width / 2, y + 15, name, "chip", size=(width, 30), css="code"))
    bracket = f'<path class="which" d="M230 48 h8 V270 h-8 M238 {row_at(1):g} H{step_at(0) - CELL[0] / 2 - 9:g}"/>'
    dot = f'<circle class="which" cx="{step_at(0) - CELL[0] / 2 - 5:g}" cy="{row_at(1):g}" r="4"/>'
    return [*parts, bracket, dot]


def picture() -> str:
    parts = [*chips(), *states(), *cells(), *readout()]
    head = f'<svg class="un" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
    head += f'height="{HEIGHT}" role="img" aria-labelledby="un-title un-desc">'
    words = f'<title id="un-title">A recurrent network, unrolled over time</title>\n<desc id="un-desc">{WORDS}</desc>'
    return "\n".join([head, words, f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def main() -> None:
    FILE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
