"""Terminal output of commands."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, TextIO

import click

from rnnkit._messages import escape_control_chars
from rnnkit._table import Column, fill, table_lines


class Console:
    """Writes results to stdout and notes to stderr, as wide as the terminal, or 80 columns without one.

    Colour is used in terminals only, and never carries information of its own; the environment variable `NO_COLOR`
    disables it, `FORCE_COLOR` enables it. Characters that the encoding lacks are written as escape sequences.
    """

    def __init__(self) -> None:
        self._out, self._err = _escaping(sys.stdout), _escaping(sys.stderr)
        self.width = shutil.get_terminal_size().columns

    def json(self, value: object) -> None:
        """Print plain data as JSON."""
        self._write(json.dumps(value, indent=2, allow_nan=False))

    def raw(self, text: str) -> None:
        """Print a text unchanged."""
        self._write(text.removesuffix("\n"))

    def file_content(self, text: str) -> None:
        """Print the content of a file: outside a terminal in UTF-8, the encoding of the files that rnnkit reads."""
        reconfigure: Any = getattr(self._out, "reconfigure", None)
        if reconfigure is not None and not self._out.isatty():
            reconfigure(encoding="utf-8")
        self.raw(text)

    def text(self, text: str, *, indent: int = 0, bold: bool = False) -> None:
        """Print a text, wrapped between words; a word longer than a line is not broken."""
        space = " " * indent
        lines = "\n".join(fill(line, self.width, space, space) for line in escape_control_chars(text).split("\n"))
        self._write(click.style(lines, bold=True) if bold else lines)

    def records(self, text: str) -> None:
        """Print lines that a program may read: wrapped in a terminal, unchanged otherwise."""
        self._write(self._wrapped_in_terminal(text, self._out))

    def table(self, columns: Sequence[Column], facts: Sequence[Mapping[str, Any]]) -> None:
        """Print a table with one row for each mapping."""
        rule = "─" if self.encodes("─") else "-"
        self._write("\n".join(table_lines(columns, facts, self.width, rule, click.style)))

    def note(self, text: str) -> None:
        """Print a note to stderr: wrapped in a terminal, unchanged otherwise."""
        click.echo(self._wrapped_in_terminal(text, self._err), file=self._err)

    def progress(self, text: str) -> None:
        """Print a progress message, in a terminal only."""
        if self._err.isatty():
            self.note(text)

    def encodes(self, text: str) -> bool:
        """Whether the encoding of stdout can represent a text."""
        try:
            text.encode(self._out.encoding or "utf-8")
        except UnicodeEncodeError:
            return False
        return True

    def _wrapped_in_terminal(self, text: str, stream: TextIO) -> str:
        lines = escape_control_chars(text).split("\n")
        return "\n".join(fill(line, self.width) if stream.isatty() else line for line in lines)

    def _write(self, text: str) -> None:
        click.echo(text, file=self._out, color=self._colored)

    @property
    def _colored(self) -> bool:
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or (self._out.isatty() and os.environ.get("TERM") != "dumb")


def _escaping(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed before Python started
        return StringIO()
    reconfigure: Any = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream
