"""Specs in TOML, which has no null: the key `null` lists the paths whose value that is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w

from rnnkit._messages import short_repr
from rnnkit.files.spec.document import Document, FormatError
from rnnkit.specs import DEEPEST, Path

_NULL = "null"  # the key, and what stands in an array in the place of a null
_MOST_WORK = 4_000_000  # characters that may be read again to find lines: two seconds
# Python's reader takes the square of a key's length: one of too many parts is found before. What is not between quotes
# or in a comment is looked at word by word, so that this takes no more time than the text has characters.
_QUOTED = r"""(?:"(?:[^"\\\n]++|\\.)*+"?+|'[^'\n]*+'?+)"""
_WORD = r"""[^\s."'#=,\[\]{}]++"""
_DEEP_KEY = re.compile(
    rf"""
    (?P<deep> (?:(?:{_WORD}|{_QUOTED})[ \t]*+\.[ \t]*+){{{DEEPEST}}} )
    | {_WORD} | \#[^\n]*+
    | \"""  (?:[^"\\]++ | \\[\s\S] | "(?!""))*+  (?:\""")?+
    | '''  (?:[^']++ | '(?!''))*+  (?:''')?+
    | {_QUOTED}
    """,
    re.VERBOSE,
)
_LINE = re.compile(r"line (\d+), ")  # else it is the last one


def read(text: str) -> Document:
    """What a text says.

    Raises:
        FormatError: it is no TOML, or says of a value that it is null which is not there.
    """
    data = _loads(text)
    for path in _nulls(data):
        _put_null(data, path)
    return Document(data, lambda: _lines(text))


def write(data: dict[str, Any]) -> str:
    """The text of the data."""
    nulls = sorted(_dotted(path) for path in _paths_of_nulls(data))
    return tomli_w.dumps(_without_nulls(data | ({_NULL: nulls} if nulls else {})))


def _loads(text: str) -> dict[str, Any]:
    deep = next((match for match in _DEEP_KEY.finditer(text) if match["deep"]), None)
    if deep is not None:
        line = text.count("\n", 0, deep.start()) + 1
        raise FormatError(f"It is nested more than {DEEPEST} levels deep", line=line)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).rpartition(" (at ")
        found, end = _LINE.match(place), text.rstrip().count("\n") + 1
        raise FormatError(f"Not valid TOML: {message}", line=end if found is None else int(found[1])) from error
    except ValueError as error:  # the one that is left: Python's limit for the digits of an integer
        raise FormatError("It has a number with too many digits") from error


# Null


def _nulls(data: dict[str, Any]) -> list[Path]:
    given = data.pop(_NULL, [])
    if not (isinstance(given, list) and all(isinstance(each, str) for each in given)):
        raise FormatError(f"Should be a list of paths such as 'options.x', but is {short_repr(given)}", path=(_NULL,))
    return [_path(each) for each in given]


def _path(dotted: str) -> Path:
    """The keys of a path, which is written as TOML writes a dotted key."""
    path: Path = ()
    try:
        inner: Any = _loads(f"{dotted} = {_NULL!r}")
    except FormatError:
        inner = None
    while isinstance(inner, dict) and len(inner) == 1:
        [(key, inner)] = inner.items()
        path = (*path, key)
    if inner != _NULL:
        raise FormatError(f"{short_repr(dotted)} is no path such as 'options.x'", path=(_NULL,))
    return path


def _put_null(data: dict[str, Any], path: Path) -> None:
    parent: Any = data
    for key in path[:-1]:
        parent = _part(parent, key)
    last = path[-1]
    if isinstance(parent, dict) and last not in parent:
        parent[last] = None
    elif isinstance(parent, list) and _part(parent, last) == _NULL:
        parent[int(last)] = None
    else:
        message = (
            f"{short_repr(_dotted(path))} leads to no place for a null: a key that is missing, or {_NULL!r} in a list"
        )
        raise FormatError(message, path=(_NULL,))


def _part(parent: Any, key: str) -> Any:
    """What a key leads to; None: nothing."""
    if isinstance(parent, dict):
        return parent.get(key)
    found = isinstance(parent, list) and key.isdecimal() and int(key[:9]) < len(parent)
    return parent[int(key)] if found else None


def _paths_of_nulls(value: object, path: Path = ()) -> Iterator[Path]:
    if value is None:
        yield path
    elif isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths_of_nulls(part, (*path, str(key)))


def _dotted(path: Path) -> str:
    return ".".join(tomli_w.dumps({key: 0}).removesuffix(" = 0\n") for key in path)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_NULL if part is None else _without_nulls(part) for part in value]
    return value


# Lines


def _lines(text: str) -> Mapping[Path, int]:
    """The line with which each statement begins: the first that is not read without it."""
    lines = text.split("\n")
    found: dict[Path, int] = {}
    begin = 1
    for end in range(1, len(lines) + 1) if len(lines) * len(text) <= _MOST_WORK else ():
        paths = _paths_of("\n".join(lines[:end]))
        if paths is not None:
            found = {path: found.get(path, begin) for path in paths}
            begin = end + 1
    return found


def _paths_of(text: str) -> list[Path] | None:
    try:
        return list(_paths(tomllib.loads(text)))
    except ValueError:
        return None


def _paths(value: object, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(part, (*path, str(key)))
