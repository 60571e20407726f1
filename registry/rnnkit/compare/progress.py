"""The progress of a comparison, in a terminal or a notebook."""

from __future__ import annotations

from typing import Any, Self

from rnnkit.compare.run import RunResult


class Progress:
    """A bar with the number of runs, the time that is left, and the last result.

    Args:
        total: the number of runs.
        done: those that an earlier comparison made.
        show: None: if stderr is a terminal, or in a notebook.
    """

    def __init__(self, total: int, done: int, *, show: bool | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        shown = (console.is_terminal or console.is_jupyter) if show is None else show
        columns: list[Any] = [
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        ]
        self._bar = Progress(*columns, console=console, disable=not shown)
        self._task = self._bar.add_task("", total=total, completed=done)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def add(self, result: RunResult) -> None:
        """Count a run that is done, and show its result."""
        score = result.status if result.score is None else f"{result.score:.3f}"
        text = f"{result.label}, {result.task}, seed {result.seed}: {score}"
        self._bar.update(self._task, advance=1, description=text)
