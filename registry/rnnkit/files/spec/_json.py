"""Specs in JSON, with unique keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rnnkit.files.spec._formats import Document, FormatError
from rnnkit.specs import DuplicateKeyError, Path, unique_keys


def read(text: str) -> Document:
    """Parse JSON. Python also reads `NaN` and `Infinity`, which are refused later, for all formats at once.

    Raises:
        FormatError: it is not valid JSON, or has a duplicate key.
    """
    try:
        data = json.loads(text, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        raise FormatError(f"Not valid JSON: {error.msg}", line=error.lineno) from error
    except DuplicateKeyError as error:
        raise FormatError(str(error), line=_line_of_duplicate(text)) from None
    except ValueError as error:  # Python's limit for the digits of an integer
        raise FormatError("It has a number with too many digits") from error
    return Document(data, lambda: _lines(text))


def write(data: dict[str, Any]) -> str:
    """Format data as JSON."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _lines(text: str) -> Mapping[Path, int]:
    try:
        return _as_yaml(text).lines
    except FormatError:
        return {}


def _line_of_duplicate(text: str) -> int | None:
    """Python's reader does not give the line of a duplicate key, but YAML's does."""
    try:
        _as_yaml(text)
    except FormatError as error:
        return error.line
    return None


def _as_yaml(text: str) -> Document:
    """JSON is YAML except for tabs, which JSON allows between tokens only and YAML does not allow there."""
    from rnnkit.files.spec import _yaml

    return _yaml.read(text.replace("\t", " "))
