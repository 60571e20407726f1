"""Where the answer of a command goes."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, TextIO

import click

from rnnkit.cli.escape import escape_control_chars
from rnnkit.cli.table import Column, table_lines


class Console:
    """Answers go to stdout, remarks to stderr; as wide as the terminal, or 80 columns where there is none.

    Colour shows nothing that words do not say, and only in a terminal; the environment variable `NO_COLOR` turns it
    off, `FORCE_COLOR` on. What an encoding cannot show is written as its escape.
    """

    def __init__(self) -> None:
        self._out, self._remarks = _never_failing(sys.stdout), _never_failing(sys.stderr)
        self.width = shutil.get_terminal_size().columns

    def json(self, value: object) -> None:
        """Print plain data."""
        self._write(json.dumps(value, indent=2, allow_nan=False))

    def raw(self, text: str) -> None:
        """Print the content of a file, for programs to read."""
        self._write(text.removesuffix("\n"))

    def text(self, text: str, *, indent: int = 0, bold: bool = False) -> None:
        """Print a text whose lines are broken between words; a word that is longer than a line stays whole."""
        lines = "\n".join(_wrapped(line, self.width, indent) for line in escape_control_chars(text).split("\n"))
        self._write(click.style(lines, bold=True) if bold else lines)

    def records(self, text: str) -> None:
        """Print lines that a program may read: broken between words in a terminal, and whole anywhere else."""
        self._write(self._whole(text, self._out))

    def table(self, columns: Sequence[Column], facts: Sequence[Mapping[str, Any]]) -> None:
        """Print a table with a row for each collection of facts."""
        rule = "─" if self.encodes("─") else "-"
        self._write("\n".join(table_lines(columns, facts, self.width, rule)))

    def note(self, text: str) -> None:
        """Print a remark, as `records` does."""
        click.echo(self._whole(text, self._remarks), file=self._remarks)

    def progress(self, text: str) -> None:
        """Print what is going on, for somebody who waits."""
        if self._remarks.isatty():
            self.note(text)

    def encodes(self, text: str) -> bool:
        """Whether the encoding of stdout has all the characters of a text."""
        try:
            text.encode(self._out.encoding or "utf-8")
        except UnicodeEncodeError:
            return False
        return True

    def _whole(self, text: str, stream: TextIO) -> str:
        lines = escape_control_chars(text).split("\n")
        return "\n".join(_wrapped(line, self.width) if stream.isatty() else line for line in lines)

    def _write(self, text: str) -> None:
        click.echo(text, file=self._out, color=self._colored)

    @property
    def _colored(self) -> bool:
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or (self._out.isatty() and os.environ.get("TERM") != "dumb")


def _wrapped(line: str, width: int, indent: int = 0) -> str:
    space = " " * indent
    return textwrap.fill(
        line, width, initial_indent=space, subsequent_indent=space, break_long_words=False, break_on_hyphens=False
    )


def _never_failing(stream: TextIO | None) -> TextIO:
    if stream is None:  # it was closed before Python began
        return StringIO()
    reconfigure: Any = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream
