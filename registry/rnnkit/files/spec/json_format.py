"""Specs in JSON: every key once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rnnkit._messages import short_repr
from rnnkit.files.spec.document import Document, FormatError
from rnnkit.specs import Path


def read(text: str) -> Document:
    """What a text says.

    Numbers that are not finite, which Python reads though JSON has none, are left to who checks all formats.

    Raises:
        FormatError: it is no JSON, or has a key twice.
    """
    try:
        data = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise FormatError(f"Not valid JSON: {error.msg}", line=error.lineno) from error
    except ValueError as error:  # Python's limit for the digits of an integer
        raise FormatError("It has a number with too many digits") from error
    except FormatError as error:
        raise FormatError(error.message, line=_line_of_mistake(text)) from None
    return Document(data, lambda: _lines(text))


def write(data: dict[str, Any]) -> str:
    """The text of the data."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise FormatError(f"The key {short_repr(key)} stands twice in one object")
        values[key] = value
    return values


def _lines(text: str) -> Mapping[Path, int]:
    try:
        return _as_yaml(text).lines
    except FormatError:
        return {}


def _line_of_mistake(text: str) -> int | None:
    """Python's reader does not say where a key stands again; YAML's does."""
    try:
        _as_yaml(text)
    except FormatError as error:
        return error.line
    return None


def _as_yaml(text: str) -> Document:
    """JSON is YAML, but for tabs: JSON has them between its tokens only, YAML not there."""
    from rnnkit.files.spec import yaml_format

    return yaml_format.read(text.replace("\t", " "))
