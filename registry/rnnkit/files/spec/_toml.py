"""Specs in TOML, which has no null: the key `null` lists the paths of the values that are null."""

from __future__ import annotations

import re
import tomllib
from functools import reduce
from typing import Any

import tomli_w

from rnnkit._messages import short_repr
from rnnkit.files.spec._formats import Document, FormatError
from rnnkit.files.spec._toml_lines import lines_of
from rnnkit.specs import Path, walk

_NULL = "null"  # the key, and the placeholder of a null in an array
_MAX_LINE = 4_096  # characters
# tomllib takes time and memory for the square of the parts of each dotted key: here at most 100 MB.
_MAX_SQUARED_DOTS = 20_000_000
_LINE_OF_ERROR = re.compile(r"line (\d+), ")  # tomllib's messages have none for the end of the text


def read(text: str) -> Document:
    """Parse TOML.

    Raises:
        FormatError: it is not valid TOML, has too long a line, or its `null` has a path that leads nowhere.
    """
    data = _loads(text)
    for path in _nulls(data):
        _put_null(data, path)
    return Document(data, lambda: lines_of(text))


def write(data: dict[str, Any]) -> str:
    """Format data as TOML.

    Raises:
        FormatError: a line would be too long.
    """
    nulls = sorted(_dotted(path) for path, value in walk(data) if value is None)
    text = tomli_w.dumps(_without_nulls(data | ({_NULL: nulls} if nulls else {})))
    _check_lines(text)
    return text


def _loads(text: str) -> dict[str, Any]:
    _check_lines(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).rpartition(" (at ")
        found, end = _LINE_OF_ERROR.match(place), text.rstrip().count("\n") + 1
        raise FormatError(f"Not valid TOML: {message}", line=end if found is None else int(found[1])) from error
    except ValueError as error:  # Python's limit for the digits of an integer
        raise FormatError("It has a number with too many digits") from error


def _check_lines(text: str) -> None:
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > _MAX_LINE:
            raise FormatError(f"Lines of TOML should have at most {_MAX_LINE:,} characters", line=number)
    if sum(line.count(".") ** 2 for line in lines) > _MAX_SQUARED_DOTS:
        raise FormatError("It has too many long lines of dots")


# Nulls


def _nulls(data: dict[str, Any]) -> list[Path]:
    given = data.pop(_NULL, [])
    if not (isinstance(given, list) and all(isinstance(each, str) for each in given)):
        raise FormatError(f"Should be a list of paths such as 'options.x', but is {short_repr(given)}", path=(_NULL,))
    return [_path(each) for each in given]


def _path(dotted: str) -> Path:
    """Parse a path, which is a dotted key of TOML."""
    try:
        found = list(walk(_loads(f"{dotted} = {_NULL!r}")))
    except FormatError:
        found = [((), None)]
    path, value = found[-1]
    if value != _NULL or len(found) != len(path) + 1:  # more than one statement
        raise FormatError(f"{short_repr(dotted)} is not a path such as 'options.x'", path=(_NULL,))
    return path


def _put_null(data: dict[str, Any], path: Path) -> None:
    parent: Any = reduce(_part, path[:-1], data)
    last = path[-1]
    if isinstance(parent, dict) and last not in parent:
        parent[last] = None
    elif isinstance(parent, list) and _part(parent, last) == _NULL:
        parent[int(last)] = None
    else:
        message = f"{short_repr(_dotted(path))} should lead to a missing key, or to {_NULL!r} in a list"
        raise FormatError(message, path=(_NULL,))


def _part(parent: Any, key: str) -> Any:
    """The value under a key or position; None if there is none."""
    if isinstance(parent, dict):
        return parent.get(key)
    found = isinstance(parent, list) and key.isdecimal() and int(key[:9]) < len(parent)
    return parent[int(key)] if found else None


def _dotted(path: Path) -> str:
    return ".".join(tomli_w.dumps({key: 0}).removesuffix(" = 0\n") for key in path)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_NULL if part is None else _without_nulls(part) for part in value]
    return value
