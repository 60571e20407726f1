"""Draws how a step becomes a plan, and what runs without and with it: `python -m docs.pictures.plan`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from docs.pictures.shapes import arrow, drawing, rect, text

FILE = Path(__file__).with_suffix(".svg")
WIDTH, HEIGHT = 800, 428
STAGES = (("mul",), ("add", "tanh", "mul", "add"))
"""The operators of the page's cell before and after its product."""
WORDS = (
    "The step of a cell, which is Python, is recorded as a list of operators. These become a plan: stages of "
    "element-wise instructions with matrix products between them. The plan is compared with the step in float64. If "
    "they differ, or the step has no plan, the step loop runs: at each of the T steps Python calls torch for each "
    "operator. If they are equal, an executor runs the stages of all T steps in one call."
)
ROW, LOOP, RUN = 70, 232, 366  # where the rows have their middles
FIRST, LAST = 96, 704
ACROSS = (LAST - FIRST) / 3
BOX = (164, 84)
STEPS, STEP = 4, 112


def box(column: int, title: str, lines: tuple[str, str], css: str) -> str:
    x = FIRST + column * ACROSS
    words = [text(x, ROW - 18, title, "strong"), *[text(x, ROW + 4 + 20 * n, line) for n, line in enumerate(lines)]]
    return rect(x, ROW, *BOX, css) + "".join(words)


def preparation() -> list[str]:
    """From the step to a plan that is equal to it."""
    boxes = [
        box(0, "Cell.step", ("one step,", "written in torch"), "input"),
        box(1, "operators", ("recorded twice,", "must be the same"), "line"),
        box(2, "plan", ("stages of products", "and instructions"), "state"),
        box(3, "comparison", ("with the step,", "in float64"), "output"),
    ]
    centers = [FIRST + column * ACROSS for column in range(4)]
    arrows = [arrow([(a + BOX[0] / 2, ROW), (b - BOX[0] / 2, ROW)]) for a, b in pairwise(centers)]
    names = ("record", "lower", "verify")
    labels = [text((a + b) / 2, ROW - 52, name, "small") for name, (a, b) in zip(names, pairwise(centers), strict=True)]
    return [*boxes, *arrows, *labels]


def step_loop() -> list[str]:
    """A call of torch for each operator of each step."""
    operators = [name for stage in STAGES for name in (*stage, "@")][:-1]
    parts = [text(8, LOOP - 34, "step loop", "strong start"), text(8, LOOP - 14, "Python", "small start")]
    for step in range(STEPS):
        middle = FIRST + 46 + step * (STEP + 36)
        parts.append(rect(middle, LOOP, STEP, 68, "input empty dashed"))
        width = (STEP - 12) / len(operators)
        for number, name in enumerate(operators):
            css = "gate" if name == "@" else "input"
            parts.append(rect(middle - STEP / 2 + 6 + (number + 0.5) * width, LOOP, width - 4, 40, css))
        parts.append(
            text(middle, LOOP + 56, f"step {step}" if step < STEPS - 1 else "step T \N{MINUS SIGN} 1", "small")
        )
    ends = [FIRST + 46 + step * (STEP + 36) for step in range(STEPS)]
    arrows = [
        arrow([(a + STEP / 2, LOOP), (b - STEP / 2, LOOP)], "state" if n < STEPS - 2 else "state dashed")
        for n, (a, b) in enumerate(pairwise(ends))
    ]
    return [*parts, *arrows]


def executor() -> list[str]:
    """One call for all steps."""
    left, right = FIRST - 10, FIRST + 46 + (STEPS - 1) * (STEP + 36) + STEP / 2
    parts = [
        text(8, RUN - 34, "executor", "strong start"),
        text(8, RUN - 14, "one call", "small start"),
        rect((left + right) / 2, RUN, right - left, 52, "state empty"),
    ]
    for step in range(STEPS):
        middle = FIRST + 46 + step * (STEP + 36)
        parts += [
            rect(middle - 34, RUN, 24, 32, "input"),
            rect(middle - 10, RUN, 12, 32, "gate"),
            rect(middle + 22, RUN, 40, 32, "input"),
        ]
    return [*parts, *legend(RUN + 48)]


def legend(y: float) -> list[str]:
    entries = ((FIRST, "gate", "matrix product"), (FIRST + 150, "input", "element-wise operators"))
    return [
        part
        for x, css, words in entries
        for part in (rect(x, y - 4, 12, 16, css), text(x + 14, y, words, "small start"))
    ]


def picture() -> str:
    x, below = FIRST + 3 * ACROSS, ROW + BOX[1] / 2
    style = "<style>.plan .end { text-anchor: end; }</style>"
    way_back = 566
    unequal = arrow([(x - 20, below), (x - 20, 148), (way_back, 148), (way_back, LOOP - 34)], "input")
    equal = arrow([(x + 40, below), (x + 40, RUN), (FIRST + 46 + 3 * (STEP + 36) + STEP / 2, RUN)], "state")
    labels = [text(x - 30, 140, "different: step loop", "small end"), text(x + 34, RUN - 8, "equal", "small end")]
    parts = [style, *preparation(), unequal, equal, *labels, *step_loop(), *executor()]
    return drawing("plan", WIDTH, HEIGHT, WORDS, parts)


def main() -> None:
    FILE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
