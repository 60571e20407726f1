"""Make the runs that a file does not have yet, and write each result to it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from rnnkit.compare.comparison import Comparison
from rnnkit.compare.progress import Progress
from rnnkit.compare.run import Run, RunResult


def complete(
    runs: Sequence[Run],
    execute: Callable[[list[Run]], Generator[tuple[Run, RunResult]]],
    *,
    file: str | Path | None,
    progress: bool | None,
) -> Comparison:
    """Return the results of runs, and of all others in a file.

    Args:
        runs: the runs of the comparison.
        execute: makes runs, and returns them with their results in any order.
        file: where results are, and where each new one is written; None: nowhere.
        progress: as in `compare`.
    """
    path = None if file is None else Path(file)
    results = [*Comparison.load(path).results] if path is not None and path.exists() else []
    known = {result.key for result in results}
    missing = [run for run in runs if run.key not in known]
    done = len(runs) - len(missing)
    # closed at once by an interruption, which ends the processes
    with closing(execute(missing)) as made, Progress(len(runs), done, show=progress) as shown:
        for _, result in made:
            results.append(result)
            shown.add(result)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                Comparison(results).save(path)
    return Comparison(results)
