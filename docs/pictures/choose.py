"""Draws the five questions by which to choose a kind: `python -m docs.pictures.choose`."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from docs.pictures.shapes import arrow, drawing, rect, text

FILE = Path(__file__).with_suffix(".svg")
WIDTH = 400
ROW, TOP = 82, 38  # the height of a row, and the middle of the first
QUESTION, ANSWER = (216, 56), (138, 56)
LEFT, RIGHT = 110, 329  # the middles of questions and answers
# two lines of a question, the answer for yes as the title of its page, the page, and kinds to begin with
QUESTIONS = (
    ("Recall values by key that", "were read long before?", "Matrix states", "families/matrix.html", "gla"),
    (
        "Train in parallel over time,",
        "on thousands of steps?",
        "Linear recurrences",
        "families/linear.html",
        "mingru, lru",
    ),
    ("Irregular time steps,", "or physical signals?", "Continuous time", "families/continuous.html", "cfc, lem"),
    ("Layer norm, zoneout, or", "per-sample gradients?", "Cell stacks", "families/gated.html", "lstm_cell, gru_cell"),
    ("Fewer parameters", "and a smaller state?", "gru", "gru.html", "or fastgrnn, mgu"),
)
LAST = ("lstm", "lstm.html", "the default choice")
HEIGHT = TOP + ROW * len(QUESTIONS) + 34
DESCRIPTION = (
    "Five questions from top to bottom, where the first yes decides: "
    + " ".join(f"{a} {b} Yes: {name}, {kinds}." for a, b, name, _, kinds in QUESTIONS)
    + f" No to all: {LAST[0]}, {LAST[2]}."
)


def answer(x: float, y: float, *, name: str, page: str, kinds: str, css: str) -> str:
    words = text(x, y - 4, escape(name), "strong") + text(x, y + 15, escape(kinds), "small")
    return f'<a href="{page}">{rect(x, y, *ANSWER, css)}{words}</a>'


def rows() -> Iterator[str]:
    for number, (first, second, name, page, kinds) in enumerate(QUESTIONS):
        y = TOP + number * ROW
        yield rect(LEFT, y, *QUESTION, "edge")
        yield text(LEFT, y - 4, escape(first)) + text(LEFT, y + 15, escape(second))
        yield arrow([(LEFT + QUESTION[0] / 2, y), (RIGHT - ANSWER[0] / 2, y)], "state")
        yield text((LEFT + RIGHT + QUESTION[0] / 2 - ANSWER[0] / 2) / 2, y - 8, "yes", "small")
        yield arrow([(LEFT, y + QUESTION[1] / 2), (LEFT, y + ROW - QUESTION[1] / 2)])
        yield text(LEFT + 10, y + ROW / 2 + 4, "no", "small start")
        yield answer(RIGHT, y, name=name, page=page, kinds=kinds, css="state")
    name, page, kinds = LAST
    yield answer(LEFT, TOP + len(QUESTIONS) * ROW, name=name, page=page, kinds=kinds, css="output")


def picture() -> str:
    # the answers are links, which an image cannot contain
    return drawing("choose", WIDTH, HEIGHT, DESCRIPTION, list(rows())).replace('role="img"', 'role="group"', 1)


def main() -> None:
    FILE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
