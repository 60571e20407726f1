"""Draws the picture of Home, a network unrolled over a padded sequence: `python -m docs.pictures.unrolled`."""

from __future__ import annotations

from pathlib import Path

from docs.pictures.shapes import Point, arrow, drawing, rect, text

FILE = Path(__file__).with_suffix(".svg")
STEPS, VALID, LAYERS = 6, 4, 2
WIDTH, HEIGHT = 1080, 286
CELL, INPUT, CHIP = (74, 44), (74, 32), (95, 30)  # width and height
LEFT, ACROSS = 330, 104  # where the first step is, and from one to the next
BOTTOM, UP = 214, 76  # where the inputs are, and from one row to the next above
RIGHT, TOP = LEFT + (STEPS - 1) * ACROSS + 112, 26  # where the readout is
DIGITS = "₁₂₃₄₅₆"
CHIPS = (
    ("lstm", "gru"),
    ("mingru", "lru"),
    ("gla", "slstm"),
    ("cfc", "indrnn"),
    ("rnnkit-nbrc/nbrc",),
    ("your own",),
)
WORDS = (
    "A sequence of six steps, the last two of them padding, passes through two layers of cells. Each cell passes its "
    "state to the next step and its output to the layer above. The readout selects the last valid step, the fourth. "
    "One field of the spec, kind, selects the cell."
)


def step_at(step: float) -> float:
    return LEFT + step * ACROSS


def row_at(row: int) -> float:
    """The inputs are row 0, the layers those above."""
    return BOTTOM - row * UP


def box(x: float, y: float, size: Point, words: str, css: str) -> str:
    """A box with a word in its middle."""
    return rect(x, y, *size, css) + text(x, y + 5, words)


def valid_steps() -> list[str]:
    parts = []
    for step in range(VALID):
        x = step_at(step)
        parts.append(box(x, row_at(0), INPUT, f"x{DIGITS[step]}", "input"))
        for row in range(1, LAYERS + 1):
            below = row_at(row - 1) - (INPUT if row == 1 else CELL)[1] / 2
            parts += [box(x, row_at(row), CELL, "cell", "state"), arrow([(x, below), (x, row_at(row) + CELL[1] / 2)])]
    return parts


def padding() -> list[str]:
    sizes = [INPUT, *[CELL] * LAYERS]
    return [
        rect(step_at(step), row_at(row), *size, "empty edge dashed")
        for step in range(VALID, STEPS)
        for row, size in enumerate(sizes)
    ]


def states() -> list[str]:
    half = CELL[0] / 2
    return [
        arrow([(step_at(step) + half, row_at(row)), (step_at(step + 1) - half, row_at(row))], "state")
        for row in range(1, LAYERS + 1)
        for step in range(VALID - 1)
    ]


def readout() -> list[str]:
    x, middle, size = step_at(VALID - 1), row_at(1) - 8, (116, 34)
    return [
        arrow([(x, row_at(LAYERS) - CELL[1] / 2), (x, TOP), (RIGHT - size[0] / 2, TOP)], "output"),
        box(RIGHT, TOP, size, "readout", "output"),
        arrow([(RIGHT, TOP + 17), (RIGHT, middle - 17)], "output"),
        box(RIGHT, middle, size, "linear", "output"),
        arrow([(RIGHT, middle + 17), (RIGHT, row_at(0) - 16)], "output"),
        text(RIGHT, row_at(0) + 5, "y"),
    ]


def labels() -> list[str]:
    return [
        text((step_at(VALID - 1) + RIGHT) / 2 - 16, TOP - 8, "the last valid step", "small"),
        text(step_at(1.5), BOTTOM + 42, "one sequence, step by step", "small"),
        text(step_at(4.5), BOTTOM + 42, "padding changes nothing", "small"),
        text(24, 30, "kind, such as", "small start"),
    ]


def kinds() -> list[str]:
    """Their names, two beside each other or one as wide, and a line that puts one of them into the cells."""
    parts = []
    for row, names in enumerate(CHIPS):
        width = CHIP[0] if len(names) == 2 else 198
        for column, name in enumerate(names):
            x, y = 24 + column * 103 + width / 2, 59 + row * 38
            parts += [rect(x, y, width, CHIP[1], "gate"), text(x, y + 4, name, "code")]
    end = step_at(0) - CELL[0] / 2
    bracket = f'<path class="gate dashed" d="M230 48 h8 V270 h-8 M238 {row_at(1):g} H{end - 9:g}"/>'
    return [*parts, bracket, arrow([(end - 9, row_at(1)), (end, row_at(1))], "gate")]


def picture() -> str:
    parts = [*kinds(), *padding(), *states(), *valid_steps(), *readout(), *labels()]
    return drawing("unrolled", WIDTH, HEIGHT, WORDS, parts)


def main() -> None:
    FILE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
