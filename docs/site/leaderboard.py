"""Writes the leaderboard from a committed comparison: `python -m docs.site.leaderboard [--check]`.

The comparison is that of `python -m benchmarks.leaderboard`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from docs.site.generated import update
from rnnkit import get_kind
from rnnkit.compare import Comparison, RunResult, find_tasks
from rnnkit.compare.scores import Board, Measure
from rnnkit.compare.summary import DASH, environment_lines, runs_text
from rnnkit.compare.table import decimals_of, scores_text

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "kinds" / "leaderboard.md"
RESULTS = DOCS / "measured" / "leaderboard.json"
_NAMES = {"nrmse": "root mean squared error, divided by the standard deviation of the target"}
TEXT = """\
---
description: "All kinds on six tasks with equal parameters and equal training: a leaderboard of recurrent networks."
hide: [toc]
tags: [benchmark, ranking]
---

# Leaderboard

Which recurrent network is best? It depends on the task. Here every built-in kind, and the kinds of two example
plugins, were trained on six tasks that need different things of a state, with the same number of parameters and of
optimizer steps. Nothing was tuned. `rnnkit compare` does the same for [your data](../how_to/compare_kinds.md), with as
many seeds and steps as you can afford.

{tasks}

{table}

A score is the median over seeds, with the range; bold scores are better than those of every other kind. The rank is the
mean over tasks, where kinds whose ranges overlap share a rank.

## Results that theory predicts {{ #theory }}

- **Parity** needs a state that flips, which a state that only decays cannot do: no linear recurrence with positive
  decays solves it ([Grazzi et al., 2024](https://arxiv.org/abs/2411.12537)). All linear and matrix kinds stay at
  chance, and all kinds that solve it are nonlinear. Not every nonlinear kind finds the solution in so few steps.
- **Delay** asks for a window of the past. The best four are `lmu`, made for it, and the kinds whose state rotates
  almost without loss: `s5`, `exprnn` and `lru`.
- **Copying**: kinds whose state rotates almost without loss, `lru`, `s5` and `exprnn`, copy without error. At this
  short gap gated kinds such as `gru` and `janet` do as well, but not `lstm`.

The results contradict theory where training is too short or defaults do not fit. Matrix states can store pairs of a key
and a value, yet they do not lead in **recall**: after 600 steps only `sru` comes close to solving it. A reservoir is a
delay line, but `esn` fails at **delay** with its default `input_scaling` of 1, which saturates it; with 0.1 and a
single layer of 140 features the error falls to 0.07.

## Limitations

- The training is short, and the learning rate is the same for all: the scores show how quickly a kind learns with
  common settings, not the best that it can learn. Kinds whose papers train with a larger or smaller rate lose most.
- Models are small, and their number of parameters is equal, not their computation: see the columns of
  [the table to choose by](index.md#all-kinds) for multiply-adds and state size.
- With {seeds} seeds, a difference between two kinds whose ranges overlap is not a result, and one whose ranges are
  close is weak evidence.
- The tasks are synthetic, except `digits`. They measure one ability each, as real data seldom does.

## Conditions

{conditions}

`python -m benchmarks.leaderboard` runs the comparison again. [Its results](../measured/leaderboard.json), with the
spec, the learning curve and the environment of every run, are a file that `Comparison.load` reads.
"""


def page_text() -> str:
    """Return the page."""
    results = Comparison.load(RESULTS).results
    board = Board(results)
    return TEXT.format(
        tasks="\n".join(_tasks(board)),
        table="\n".join(table(board)),
        seeds=len({each.seed for each in results}),
        conditions="\n".join(_conditions(results)),
    )


def _tasks(board: Board) -> Iterator[str]:
    """Yield a line for each task: its settings, what it asks, what it measures, and its metric."""
    for measure in board.measures:
        [task] = find_tasks([measure.task])
        direction = "higher" if measure.higher_is_better else "lower"
        steps = {each.steps for each in board.of_measure(measure) if each.steps}
        metric = _NAMES.get(measure.metric, measure.metric)
        yield (
            f"- **{name_of(measure)}**, `{measure.task}`: {task.summary} It measures {task.measures}. "
            f"Score: {metric}, {direction} is better; {max(steps):,} optimizer steps."
        )


def _conditions(results: Sequence[RunResult]) -> Iterator[str]:
    sizes = sorted({each.parameters for each in results if each.parameters})
    training = results[0].training
    yield f"- {runs_text(results)}."
    yield (
        f"- {sizes[0]:,} to {sizes[-1]:,} parameters in two layers; Adam with batches of {training.batch_size} and "
        f"a peak learning rate of {training.learning_rate:g}; the gradient is clipped, and nothing is tuned. A "
        "reservoir (`esn`) fits its readout by linear regression where the task is a regression."
    )
    yield from (f"- {line}." for line in environment_lines(results))


def table(board: Board) -> Iterator[str]:
    """Yield the lines of the table: a row for each kind, the best first, and one for chance."""
    decimals = {measure: decimals_of(board.of_measure(measure)) for measure in board.measures}
    yield f"| kind | family | rank | {' | '.join(name_of(measure) for measure in board.measures)} |"
    yield f"|---|---|--:|{'--:|' * len(board.measures)}"
    for label in board.labels:
        yield f"| {_kind(label)} | {board.ranks[label]:.1f} | {' | '.join(_cells(board, label, decimals))} |"
    chance = [_chance(board.of_measure(measure), decimals[measure]) for measure in board.measures]
    yield f"| *chance* | | | {' | '.join(chance)} |"


def name_of(measure: Measure) -> str:
    """Return the name of a task without its settings."""
    return measure.task.partition("(")[0]


def _kind(label: str) -> str:
    page = PAGE.with_name(f"{label.rpartition('/')[2]}.md")
    name = f"[`{label}`]({page.name})" if page.exists() else f"`{label}`"
    return f"{name} | {_family(label)}"


def _family(label: str) -> str:
    return "of a plugin" if "/" in label else get_kind(label).family or ""


def _cells(board: Board, label: str, decimals: dict[Measure, int]) -> Iterator[str]:
    """Yield the scores of a kind; bold if it is better than every other kind."""
    for measure, places in decimals.items():
        text = _without_empty_range(scores_text(board.scores(label, measure), places))
        yield f"**{text}**" if board.is_best(label, measure) else text


def _without_empty_range(text: str) -> str:
    """Return the median alone if the range is not wider."""
    middle, _, ends = text.partition(" (")
    return middle if ends == f"{middle}{DASH}{middle})" else text


def _chance(results: Sequence[RunResult], decimals: int) -> str:
    return f"{median(each.chance for each in results if each.chance is not None):.{decimals}f}"


def main(arguments: list[str] | None = None) -> int:
    return update({PAGE: page_text()}, "docs.site.leaderboard", arguments)


if __name__ == "__main__":
    sys.exit(main())
