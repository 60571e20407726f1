"""What a text in one of the formats says, and on which lines it says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from rnnkit.specs import Path


class FormatError(Exception):
    """A text is not in its format; never leaves rnnkit, which names the file on top.

    Attributes:
        message: what is wrong.
        line: where, counted from 1; None: nobody knows.
        path: of the value that it is about.
    """

    def __init__(self, message: str, *, line: int | None = None, path: Path = ()) -> None:
        super().__init__(message)
        self.message, self.line, self.path = message, line, path


class Document:
    """The data of a text.

    Args:
        data: what the text says.
        find_lines: finds the line of each path; called when something is wrong.
    """

    def __init__(self, data: Any, find_lines: Callable[[], Mapping[Path, int]] = dict) -> None:
        self.data = data
        self._find_lines = find_lines

    @cached_property
    def lines(self) -> Mapping[Path, int]:
        """The line of each path that has one, counted from 1."""
        return self._find_lines()

    def line_of(self, path: Path) -> int | None:
        """The line of a value, or of the innermost that it is part of; None: nobody knows."""
        starts = (path[:length] for length in range(len(path), 0, -1))
        return next((self.lines[start] for start in starts if start in self.lines), None)
