"""Make the runs that a file does not have yet, and write their results to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

from rnnkit.compare.comparison import Comparison
from rnnkit.compare.progress import Progress, result_text
from rnnkit.compare.run import Run, RunResult

_PATIENCE = 60.0  # seconds to wait while another process writes to the file
LOCK, JOURNAL = ".lock", ".optuna"  # suffixes of files beside that of the results


def complete(
    runs: Sequence[Run],
    execute: Callable[[list[Run]], Generator[tuple[Run, RunResult], None, None]],
    *,
    saved: SavedResults,
    progress: bool | None,
) -> Comparison:
    """Return the results of runs, and of all others in a file.

    Args:
        runs: the runs of the comparison.
        execute: makes runs, and returns them with their results in any order.
        saved: the results so far, to which new ones are added.
        progress: as in `compare`.
    """
    missing = [run for run in runs if not saved.has(run)]
    done = len(runs) - len(missing)
    # closed at once by an interruption, which ends the processes
    with saved, closing(execute(missing)) as made, Progress(len(runs), done, show=progress) as shown:
        for _, result in made:
            saved.add(result)
            shown.add(result_text(result))
    return Comparison(saved.results.values())


class SavedResults:
    """The results so far, and the file that has them all at the end of the block, also after an interruption.

    While runs are made, the file is written so often that a twentieth of the time goes into it. Other processes may
    write to it, too: a lock, whose file has the suffix `.lock`, keeps their results.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.results = self._in_file()
        self._made: dict[str, RunResult] = {}
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._written, self._pause = time.monotonic(), 0.0

    def has(self, run: Run) -> bool:
        """Return whether the result of a run is final: not one that failed, or that another limit of time stopped."""
        result = self.results.get(run.key)
        if result is None or result.status in ("failed", "skipped"):
            return False
        return result.status != "stopped" or result.training.limit == run.training.limit

    def add(self, result: RunResult) -> None:
        self.results[result.key] = self._made[result.key] = result
        if time.monotonic() >= self._written + self._pause:
            self._write()

    def add_all(self, results: Iterable[RunResult]) -> None:
        for result in results:
            self.add(result)

    @property
    def journal(self) -> Path | None:
        """The path of Optuna's journal, beside the results; None if they are not written."""
        return None if self._path is None else self._path.with_suffix(JOURNAL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

    def _in_file(self) -> dict[str, RunResult]:
        if self._path is None or not self._path.exists():
            return {}
        return {result.key: result for result in Comparison.load(self._path).results}

    def _write(self) -> None:
        if self._path is None:
            return
        from filelock import FileLock

        started = time.monotonic()
        with FileLock(f"{self._path}{LOCK}", timeout=_PATIENCE):
            self.results |= self._in_file() | self._made
            Comparison(self.results.values()).save(self._path)
        self._written = time.monotonic()
        self._pause = 20 * (self._written - started)
