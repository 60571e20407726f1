"""Text and plain data: JSON, TOML and YAML, by the suffix of a file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from rnnkit.files.spec.document import Document, FormatError
from rnnkit.specs import DEEPEST

LARGEST = 2**20  # bytes of a file
# Each has `read` and `write`; imported when it is needed: the readers take their time.
_MODULES = {".json": "json_format", ".toml": "toml_format", ".yaml": "yaml_format", ".yml": "yaml_format"}
SUFFIXES = tuple(_MODULES)


def read_document(content: bytes, suffix: str) -> Document:
    """What the content of a file says.

    Raises:
        FormatError: it is not in the format of its suffix, or larger than any spec.
    """
    text = _text(content)
    try:
        document: Document = _module(suffix).read(text)
    except RecursionError:
        raise FormatError(f"It is nested more than {DEEPEST} levels deep") from None
    return document


def write_document(data: Mapping[str, Any], suffix: str) -> bytes:
    """The content of a file that says the data.

    Raises:
        FormatError: it would be larger than what is read again.
    """
    content: bytes = _module(suffix).write(data).encode()
    _check_length(content)
    return content


def _module(suffix: str) -> ModuleType:
    return import_module(f"rnnkit.files.spec.{_MODULES[suffix]}")


def _text(content: bytes) -> str:
    _check_length(content)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FormatError(f"Not text in UTF-8: {error.reason} at byte {error.start}", line=line) from error


def _check_length(content: bytes) -> None:
    if len(content) > LARGEST:
        raise FormatError(f"It is larger than the {LARGEST // 2**20} MiB that the file of a spec may have")
