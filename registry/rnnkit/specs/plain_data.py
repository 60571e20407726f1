"""Plain data that every file format can hold: text, finite numbers, booleans, None, lists and mappings."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time
from typing import Any, NamedTuple

from rnnkit._messages import short_repr

MAX_DEPTH = 50
MAX_VALUES = 10_000

Path = tuple[str, ...]
"""The keys, and the positions in lists counted from zero, that lead to a value."""


class DataProblem(NamedTuple):
    """A value that some file format cannot hold: its path, the rule that it breaks, and its short `repr` if useful."""

    path: Path
    message: str
    value: str | None = None


class DuplicateKeyError(ValueError):
    """A JSON object has a key twice, of which Python would take the last value."""


def unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dictionary: the `object_pairs_hook` of `json.loads`.

    Raises:
        DuplicateKeyError: a key occurs twice.
    """
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise DuplicateKeyError(f"Duplicate key {short_repr(key)}")
        values[key] = value
    return values


def find_problems(data: object) -> Iterator[DataProblem]:
    """Yield the values that some file format cannot hold, or one problem if the data is too deep or too large."""
    if message := size_problem(data):
        yield DataProblem((), message)
        return
    for path, value in walk(data):
        if message := _message(value):
            yield DataProblem(path, message, short_repr(value))
        for key in value if isinstance(value, Mapping) else ():
            if message := _message(key) if isinstance(key, str) else "The keys of a mapping should be text":
                yield DataProblem(path, message, short_repr(key))


def size_problem(value: object) -> str:
    """Return a message if data is nested too deep or has too many values; an empty string otherwise."""
    level, count = [value], 0
    for _ in range(MAX_DEPTH + 1):
        count += len(level)
        if count > MAX_VALUES:
            return f"It has more than {MAX_VALUES:,} values"
        level = [part for each in level for part in _parts(each).values()]
        if not level:
            return ""
    return f"It is nested more than {MAX_DEPTH} levels deep"


def walk(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield a value and all values inside it, each with its path."""
    yield path, value
    for key, part in _parts(value).items():
        yield from walk(part, (*path, str(key)))


def _parts(value: object) -> Mapping[Any, object]:
    """The items of a list or mapping, by position or key."""
    if isinstance(value, list | tuple):
        return {str(position): part for position, part in enumerate(value)}
    return value if isinstance(value, Mapping) else {}


def _message(value: object) -> str:
    match value:
        case str():
            return "Text should not have half of a surrogate pair" if re.search("[\ud800-\udfff]", value) else ""
        case float():
            return "" if math.isfinite(value) else "Numbers should be finite"
        case bool() | None | list() | tuple() | Mapping():
            return ""
        case int():
            return "Numbers should have fewer digits" if _has_too_many_digits(value) else ""
        case date() | time():  # from TOML
            return "Dates and times should be text, in quotes"
        case _:
            return "Values should be text, numbers, true, false, null, lists or mappings"


def _has_too_many_digits(number: int) -> bool:
    """True if Python refuses to convert a number to text."""
    try:
        str(number)
    except ValueError:
        return True
    return False
