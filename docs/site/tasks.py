"""Writes the page of small tasks from measured scores: `python -m docs.site.tasks [--check]`.

The scores are those of `python -m benchmarks.tasks --json docs/measured/tasks.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from docs.site.kinds_index import FAMILIES
from rnnkit import get_kind

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "kinds" / "tasks.md"
TEXT = """\
---
description: "Parity, adding, copying and recall: small tasks that tell families of recurrent networks apart."
hide: [toc]
---

# Small tasks

Four tasks, each of which needs something else of a state. Every kind has the same sizes, {steps} optimizer steps, one
learning rate and one seed, and nothing is tuned: the table shows what a kind learns at once, not what it can learn.

- **Parity**: whether the number of ones so far is odd, trained on up to 40 steps and tested on the second half of 256.
  A state that only decays cannot switch between even and odd, so that no linear recurrence with positive decays solves
  it ([Grazzi et al., 2024](https://arxiv.org/abs/2411.12537)). Accuracy; 0.5 is chance.
- **Adding**: the sum of two marked numbers among 100. Explained variance; 0 is the mean.
- **Copying**: five symbols, repeated after a gap of 30 steps. Accuracy; 0.12 is chance.
- **Recall**: the value of one of six pairs of a key and a value. Accuracy; 0.08 is chance.

{table}

As predicted, only nonlinear cells learn parity, and cells whose state oscillates or rotates without loss, `lru`, `s5`
and `exprnn`, copy best. Against expectation, the matrix states do not lead in recall after so few optimizer steps: all
kinds are far from 1 there.

Measured on {date} on the processor “{processor}” by `python -m benchmarks.tasks --steps {steps}`.
[The scores](../measured/tasks.json) are in the tree.
"""


def page_text() -> str:
    """Return the page."""
    record = json.loads((DOCS / "measured" / "tasks.json").read_text(encoding="utf-8"))
    machine = record["machine"]
    return TEXT.format(
        steps=record["steps"], table=_table(record["scores"]), date=machine["date"][:10], processor=machine["processor"]
    )


def _table(scores: dict[str, dict[str, float]]) -> str:
    tasks = list(next(iter(scores.values())))
    families = list(FAMILIES)
    head = [f"| kind | family | {' | '.join(tasks)} |", f"|---|---|{'--:|' * len(tasks)}"]
    names = sorted(scores, key=lambda name: (families.index(get_kind(name).family), name))
    rows = [f"| [`{name}`]({name}.md) | {get_kind(name).family} | {_cells(scores[name])} |" for name in names]
    return "\n".join([*head, *rows])


def _cells(scores: dict[str, Any]) -> str:
    return " | ".join(f"{max(score, 0):.2f}" for score in scores.values())


def main(arguments: list[str]) -> int:
    text = page_text()
    if "--check" in arguments:
        return int(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
