"""Train every installed kind on the tasks of the leaderboard: `python -m benchmarks.leaderboard`.

It takes about an hour on two cores, and continues where it was interrupted. The page is made from its result by
`python -m docs.site.leaderboard`. Install the example plugins first, so that their kinds are in the table:
`pip install docs/examples/rnnkit-nbrc docs/examples/rnnkit-ncps`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from rnnkit import list_kinds
from rnnkit.compare import Comparison, compare, tasks

TASKS = {  # with the optimizer steps of each
    tasks.parity(): 400,
    tasks.adding(20): 600,
    tasks.copying(gap=10, symbols=3): 600,
    tasks.recall(pairs=3): 600,
    tasks.delay(lag=10, length=40): 600,
    tasks.digits(): 600,
}
SEEDS, PARAMETERS = 2, 20_000
# the same networks as `rnn`, `gru` and `lstm`, and one whose cells are options
LEFT_OUT = {"rnn_cell", "gru_cell", "lstm_cell", "mixed"}


def run(path: Path, *, jobs: int = -1) -> Comparison:
    """Train all kinds on all tasks; what a file has is not trained again."""
    kinds = [name for name in list_kinds() if name not in LEFT_OUT]
    for task, steps in TASKS.items():
        compare(kinds, [task], seeds=SEEDS, steps=steps, parameters=PARAMETERS, jobs=jobs, file=path)
    return Comparison.load(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaderboard", description=str(__doc__).splitlines()[0])
    parser.add_argument("--jobs", type=int, default=-1, help="runs at the same time (default: all processors)")
    parser.add_argument("--file", type=Path, default=Path("docs/measured/leaderboard.json"))
    arguments = parser.parse_args()
    Console().print(str(run(arguments.file, jobs=arguments.jobs).table()), highlight=False)


if __name__ == "__main__":
    main()
