"""Plain data that every format of files can hold: strings, finite numbers, booleans, None, lists and dictionaries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import Any, NamedTuple

from rnnkit._messages import short_repr

DEEPEST = 50  # levels
MOST_VALUES = 10_000

Path = tuple[str, ...]
"""Where a value is: the keys that lead there, and the positions in lists, counted from zero."""


class Obstacle(NamedTuple):
    """What some format could not hold: where it is, why not, and in words what it is, unless that is too much."""

    path: Path
    message: str
    value: str | None = None


def excess(value: object) -> str:
    """Why a value is too much for a spec: how deep it goes, or how many values it has; empty: it is not."""
    level, count = [value], 0
    for _ in range(DEEPEST + 1):
        count += len(level)
        if count > MOST_VALUES:
            return f"It has more than {MOST_VALUES:,} values"
        level = [part for each in level for part in _parts(each).values()]
        if not level:
            return ""
    return f"It is nested more than {DEEPEST} levels deep"


def obstacles(value: object) -> Iterator[Obstacle]:
    """What some format could not hold, or what is too much for a spec."""
    if message := excess(value):
        yield Obstacle((), message)
    else:
        yield from _obstacles(value, ())


def _obstacles(value: object, path: Path) -> Iterator[Obstacle]:
    if message := _message(value):
        yield Obstacle(path, message, short_repr(value))
    for key, part in _parts(value).items():
        if message := _message_of_key(key):
            yield Obstacle(path, message, short_repr(key))
        yield from _obstacles(part, (*path, str(key)))


def _parts(value: object) -> Mapping[Any, object]:
    """The values in a value, by key or position."""
    if isinstance(value, list | tuple):
        return {str(position): part for position, part in enumerate(value)}
    return value if isinstance(value, Mapping) else {}


def _message(value: object) -> str:
    match value:
        case str():
            return "Text should be whole, and this has half of a surrogate pair" if _is_broken(value) else ""
        case float():
            return "" if math.isfinite(value) else "Numbers should be finite"
        case bool() | None | list() | tuple() | Mapping():
            return ""
        case int():
            return "Numbers should have fewer digits" if _is_endless(value) else ""
        case date() | time():  # of TOML
            return "Dates and times should be text, in quotes"
        case _:
            return "Values should be text, numbers, true, false, null, lists or mappings"


def _message_of_key(key: object) -> str:
    return _message(key) if isinstance(key, str) else "The keys of a mapping should be text"


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _is_endless(number: int) -> bool:
    """Whether Python refuses to write a number, and to read it again."""
    try:
        str(number)
    except ValueError:
        return True
    return False
