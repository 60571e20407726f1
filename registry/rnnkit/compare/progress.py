"""The progress of a comparison, in a terminal or a notebook."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, Self

from rnnkit._messages import escape_control_chars
from rnnkit.compare.run import RunResult
from rnnkit.compare.task import Task

if TYPE_CHECKING:
    from rich.console import Console


class Progress:
    """A bar with the number of runs or trials, the time that is left, and the last result.

    It is written to stderr. Without rich, or in a notebook without ipywidgets, each result is a line of its own. A
    terminal that is closed does not end the comparison.

    Args:
        total: the number of runs or trials.
        done: those that an earlier comparison made.
        show: None: if stderr is a terminal, or in a notebook.
    """

    def __init__(self, total: int, done: int, *, show: bool | None) -> None:
        self._display = _display(total, done, show=show)

    def __enter__(self) -> Self:
        with suppress(OSError, ValueError):  # of a stream that is closed
            self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):
            self._display.stop()

    def add(self, text: str) -> None:
        """Count a run or trial that is done, and show its result."""
        with suppress(OSError, ValueError):
            self._display.add(text)


def result_text(result: RunResult) -> str:
    """Return a result on one line, the score first, since the end of a long line is cut off."""
    score = result.status if result.score is None else f"{result.metric} {result.score:.3f}"
    error = f" ({result.error})" if result.error else ""
    text = escape_control_chars(f"{score}: {result.label}, {result.task}, seed {result.seed}{error}")
    return " ".join(text.split())


def trial_text(label: str, task: Task, number: int, end: str) -> str:
    """Return the end of a trial on one line, such as its score on the validation."""
    return " ".join(escape_control_chars(f"{end}: {label}, {task}, trial {number + 1}").split())


class _Display(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def add(self, text: str) -> None: ...


class _Nothing:
    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def add(self, text: str) -> None:
        pass


class _Lines(_Nothing):
    """A line for each result."""

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done = total, done

    def add(self, text: str) -> None:
        self._done += 1
        print(f"{self._done}/{self._total} {text}", file=sys.stderr, flush=True)  # noqa: T201  # progress without rich


class _Bar:
    """The bar of rich."""

    def __init__(self, total: int, done: int, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        rest_of_line = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        columns: list[Any] = [
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False, table_column=rest_of_line),
        ]
        self._bar = Progress(*columns, console=console, expand=True)
        self._task = self._bar.add_task("", total=total, completed=done)

    def start(self) -> None:
        self._bar.start()

    def stop(self) -> None:
        self._bar.stop()

    def add(self, text: str) -> None:
        self._bar.update(self._task, advance=1, description=text)


def _display(total: int, done: int, *, show: bool | None) -> _Display:
    if show is False or sys.stderr is None:
        return _Nothing()
    if find_spec("rich") is None:
        return _Lines(total, done) if show or sys.stderr.isatty() else _Nothing()
    from rich.console import Console

    console = Console(stderr=True)
    if not (show or console.is_terminal or console.is_jupyter):
        return _Nothing()
    if console.is_jupyter and find_spec("ipywidgets") is None:
        return _Lines(total, done)
    return _Bar(total, done, console)
