"""Draws two sequences of different length in a bidirectional layer: `python -m docs.pictures.padding`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from docs.pictures.shapes import arrow, drawing, rect, text

FILE = Path(__file__).with_suffix(".svg")
TIME, LENGTHS = 5, (5, 3)
WIDTH, HEIGHT = 800, 446
FIRST, ACROSS = 208, 112  # where step 0 is, and from one step to the next
ROWS, LANE = (92, 296), 56  # where the rows are, and from one lane of a row to the next
BOX = (78, 36)
START, END = 118, 744  # where states come in and go out
WORDS = (
    "Two sequences of five steps; only three steps of the second are valid. In each sequence the forward direction "
    "runs from step 0 to the last valid step, where the readout last selects it, and the reverse direction runs from "
    "the last valid step to step 0, where the readout last selects it. The padding of the second sequence does not "
    "change the state. A hand-written out[:, -1] selects step 4 of each direction: the reverse direction of the first "
    "sequence has read only one step there, and the second sequence is padding."
)


def at(step: int) -> float:
    return FIRST + step * ACROSS


def cell(step: int, y: float, read: tuple[int, int], *, taken: bool) -> str:
    """Return a box with the first and the last step that one direction has read."""
    first, last = read
    words = f"{first}" if first == last else f"{first}\N{EN DASH}{last}"
    css = "output taken" if taken else "state"
    return rect(at(step), y, *BOX, css) + text(at(step), y + 5, words, "code")


def inputs(y: float, length: int) -> list[str]:
    """Return the steps of a sequence and its padding."""
    parts = []
    for step in range(TIME):
        valid = step < length
        parts.append(rect(at(step), y, *BOX, "input" if valid else "edge dashed empty"))
        parts.append(
            text(at(step), y + 5, f"x<tspan dy='3' font-size='11'>{step}</tspan>" if valid else "padding", "small")
        )
    return parts


def forward_reads(length: int) -> list[tuple[int, int]]:
    """The first and the last step that the forward direction has read, at each valid step."""
    return [(0, step) for step in range(length)]


def reverse_reads(length: int) -> list[tuple[int, int]]:
    """The first and the last step that the reverse direction has read, at each valid step."""
    return [(step, length - 1) for step in range(length)]


def forward(y: float, length: int) -> list[str]:
    """From step 0 to the last valid step; padding does not change the state."""
    half = BOX[0] / 2
    parts = [cell(step, y, read, taken=step == length - 1) for step, read in enumerate(forward_reads(length))]
    ends = [START, *(at(step) for step in range(length))]
    parts += [arrow([(a + (half if a > START else 0), y), (b - half, y)], "state") for a, b in pairwise(ends)]
    css = "state" if length == TIME else "state dashed"
    return [*parts, arrow([(at(length - 1) + half, y), (END, y)], css), text(END + 6, y + 4, "state", "small start")]


def reverse(y: float, length: int) -> list[str]:
    """From the last valid step to step 0."""
    half = BOX[0] / 2
    parts = [cell(step, y, read, taken=step == 0) for step, read in enumerate(reverse_reads(length))]
    parts += [arrow([(at(step) - half, y), (at(step - 1) + half, y)], "state") for step in range(length - 1, 0, -1)]
    parts.append(arrow([(END, y), (at(length - 1) + half, y)], "state" if length == TIME else "state dashed"))
    return [*parts, arrow([(at(0) - half, y), (START, y)], "state"), text(START - 6, y + 4, "state", "small end")]


def row(index: int) -> list[str]:
    """Return the three lanes of a sequence: forward, inputs, reverse."""
    y, length = ROWS[index], LENGTHS[index]
    names = [
        text(8, y + 4, "forward", "small start"),
        text(8, y + LANE - 4, f"sequence {index}", "strong start"),
        text(8, y + LANE + 14, f"{length} steps", "small start"),
        text(8, y + 2 * LANE + 4, "reverse", "small start"),
    ]
    return [*names, *forward(y, length), *inputs(y + LANE, length), *reverse(y + 2 * LANE, length)]


def by_hand() -> list[str]:
    """Return the column that `out[:, -1]` selects."""
    top, bottom = ROWS[0] - 32, ROWS[1] + 2 * LANE + 32
    box = rect(at(TIME - 1), (top + bottom) / 2, BOX[0] + 22, bottom - top, "gate dashed empty")
    return [box, text(at(TIME - 1), top - 10, "out[:, -1]", "code")]


def picture() -> str:
    steps = [text(at(step), 22, f"step {step}", "small") for step in range(TIME)]
    style = "<style>.padding .taken { stroke-width: 3.2; } .padding .end { text-anchor: end; }</style>"
    return drawing("padding", WIDTH, HEIGHT, WORDS, [style, *steps, *by_hand(), *row(0), *row(1)])


def main() -> None:
    FILE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
