"""Text and plain data: JSON, TOML and YAML, chosen by the suffix of a file."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Any

from rnnkit._messages import on_one_line
from rnnkit.specs import MAX_DEPTH, Path

MAX_BYTES = 2**20
# Each module has `read` and `write`, and is imported when it is needed because importing PyYAML takes long.
_MODULES = {".json": "_json", ".toml": "_toml", ".yaml": "_yaml", ".yml": "_yaml"}
SUFFIXES = tuple(_MODULES)


class FormatError(Exception):
    """A text is not in its format. Internal: the caller turns it into a `SpecFileError` that names the file.

    Attributes:
        message: the problem.
        line: counted from 1; None: unknown.
        path: path of the value.
    """

    def __init__(self, message: str, *, line: int | None = None, path: Path = ()) -> None:
        message = on_one_line(message)  # of a parser, it may have any part of the text
        super().__init__(message)
        self.message, self.line, self.path = message, line, path


class Document:
    """The data of a text and the line of each value.

    Args:
        data: the data.
        find_lines: returns the line of each path; called only to report a problem.
    """

    def __init__(self, data: Any, find_lines: Callable[[], Mapping[Path, int]] = dict) -> None:
        self.data = data
        self._find_lines = find_lines

    @cached_property
    def lines(self) -> Mapping[Path, int]:
        """The line of each path, counted from 1."""
        return self._find_lines()

    def line_of(self, path: Path) -> int | None:
        """Return the line of a value, or of the innermost container with a known line."""
        starts = (path[:length] for length in range(len(path), 0, -1))
        return next((self.lines[start] for start in starts if start in self.lines), None)


def read_document(content: bytes, suffix: str) -> Document:
    """Parse the content of a file.

    Raises:
        FormatError: it is too large, or not in the format of its suffix.
    """
    text = _decode(content)
    try:
        document: Document = _module(suffix).read(text)
    except RecursionError:
        raise FormatError(f"It is nested more than {MAX_DEPTH} levels deep") from None
    return document


def write_document(data: Mapping[str, Any], suffix: str) -> bytes:
    """Return the content of a file with the given data.

    Raises:
        FormatError: `read_document` would not read it.
    """
    content: bytes = _module(suffix).write(data).encode()
    _check_length(content)
    return content


def _module(suffix: str) -> ModuleType:
    return import_module(f"rnnkit.files.spec.{_MODULES[suffix]}")


def _decode(content: bytes) -> str:
    _check_length(content)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FormatError("It is in UTF-16, as Windows PowerShell writes it with `>`: save it in UTF-8", line=1)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FormatError(f"Not valid UTF-8: {error.reason} at byte {error.start}", line=line) from error


def _check_length(content: bytes) -> None:
    if len(content) > MAX_BYTES:
        raise FormatError(f"It is larger than {MAX_BYTES // 2**20} MiB, the limit for a spec file")
