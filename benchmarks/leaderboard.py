"""Train every installed kind on the tasks of the leaderboard: `python -m benchmarks.leaderboard`.

It takes about an hour on two cores, and continues where it was interrupted. The page is made from its result by
`python -m docs.site.leaderboard`. Install the example plugins first, so that their kinds are in the table:
`pip install docs/examples/rnnkit-nbrc docs/examples/rnnkit-ncps`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rnnkit import list_kinds
from rnnkit.compare import Comparison, compare, tasks

TASKS = {
    "parity": tasks.parity(),
    "adding": tasks.adding(100),
    "copying": tasks.copying(gap=30, symbols=5),
    "recall": tasks.recall(pairs=4),
    "delay": tasks.delay(),
    "digits": tasks.digits(order="pixels"),
}
STEPS, SEEDS, PARAMETERS = 400, 2, 20_000
# the same networks as `rnn`, `gru` and `lstm`, and one whose cells are options
LEFT_OUT = {"rnn_cell", "gru_cell", "lstm_cell", "mixed"}


def run(path: Path, *, names: list[str], jobs: int) -> Comparison:
    """Train all kinds on some of the tasks; results are added to those of a file."""
    kinds = [name for name in list_kinds() if name not in LEFT_OUT]
    return compare(
        kinds,
        [TASKS[name] for name in names],
        seeds=SEEDS,
        steps=STEPS,
        parameters=PARAMETERS,
        jobs=jobs,
        file=path,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaderboard", description=str(__doc__).splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--jobs", type=int, default=-1, help="runs at the same time (default: all processors)")
    parser.add_argument("--file", type=Path, default=Path("docs/measured/leaderboard.json"))
    arguments = parser.parse_args()
    print(run(arguments.file, names=arguments.tasks, jobs=arguments.jobs).table())


if __name__ == "__main__":
    main()
