"""Other values that the options of a kind may have, found by their types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from itertools import chain, islice, zip_longest
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from rnnkit import Options
from rnnkit.introspection import schema_of
from rnnkit.options import plain_defaults

_MOST = 8  # values of one field
_MOST_ITEMS = 16  # values that the items of a list are tried with
_LENGTHS = (1, 2, 3, 4)  # of lists
_LARGEST = 64  # of integers, which are often sizes
# What strings of layers often name; then what patterns often ask for.
_STRINGS = ("relu", "tanh", "sigmoid", "sum", "mean", "none", "gru_cell", "lstm_cell", "a", "A", "1", "a1", "1x1")

_Schema = Mapping[str, Any]


def sample_option_values(options: type[Options]) -> dict[str, list[Any]]:
    """For each field of a class of options, some values other than its default that the field alone takes.

    The likeliest come first. A field for whose type there is no idea has none.

    Raises:
        PluginError: one of its fields has a type of the plugin's own that refuses to be described.
    """
    schema, defaults = schema_of(options), plain_defaults(options)
    ideas, schemas = _Ideas(schema.get("$defs", {})), schema["properties"]
    names = [field.name for field in fields(options)]
    return {name: _taken(options, name, ideas.of(schemas.get(name, {}), defaults[name])) for name in names}


def is_choice(value: Any) -> bool:
    """Whether a value is one of a few, each of which means something of its own, unlike a number among others."""
    return isinstance(value, bool | str | Enum)


def in_turn(several: Iterable[Iterable[Any]]) -> Iterator[Any]:
    """The first of each, then the second of each, and so on."""
    nothing = object()
    for of_each in zip_longest(*several, fillvalue=nothing):
        yield from (each for each in of_each if each is not nothing)


def _taken(options: type[Options], name: str, ideas: Iterator[Any]) -> list[Any]:
    """Those ideas that a field takes, as it takes them: an enumeration's member for its name, a tuple for a list."""
    adapter, default = TypeAdapter(options), getattr(options(), name)
    found: list[Any] = []
    for idea in ideas:
        try:
            value = getattr(adapter.validate_json(to_json({name: idea})), name)
        except Exception:  # noqa: BLE001, S112  # however a validator of the plugin refuses it
            continue
        if not _is_among(value, [default, *found]):
            found.append(value)
        if len(found) == _MOST:
            break
    return found


def _is_among(value: Any, others: Sequence[Any]) -> bool:
    return any(type(value) is type(other) and value == other for other in others)


class _Ideas:
    """Values that a JSON Schema allows, or may, in plain data; they may hold the default, and one several times."""

    def __init__(self, definitions: Mapping[str, _Schema]) -> None:
        self._definitions = definitions

    def of(self, schema: _Schema, default: Any, depth: int = 3) -> Iterator[Any]:
        """Values that a schema allows, in the place of a default, which lie in so many others at most."""
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        branches = [branch for key in ("anyOf", "oneOf", "allOf") for branch in schema.get(key, [])]
        yield from in_turn([self.of(branch, default, depth) for branch in branches])
        yield from schema.get("enum", [])
        if "const" in schema:
            yield schema["const"]
        if depth:
            yield from self._of_type(schema, default, depth - 1)

    def _of_type(self, schema: _Schema, default: Any, depth: int) -> Iterator[Any]:
        match schema.get("type"):
            case "boolean":
                yield from (True, False)
            case "integer":
                yield from _integers(schema, default)
            case "number":
                yield from _numbers(schema, default)
            case "string":
                yield from _strings(schema, default)
            case "array":
                yield from self._arrays(schema, default, depth)
            case "object":
                yield from self._objects(schema, default, depth)
            case "null":
                yield None

    def _arrays(self, schema: _Schema, default: Any, depth: int) -> Iterator[list[Any]]:
        if "prefixItems" in schema:
            yield from self._fixed_arrays(schema["prefixItems"], default, depth)
            return
        now = default if isinstance(default, list) else []
        ideas = self.of(schema.get("items", {}), now[0] if now else default, depth)
        items = [each for each in islice(ideas, _MOST_ITEMS) if each not in (default, *now)]
        others = {*_LENGTHS, schema.get("minItems", 1)} - {len(now)}
        lengths = [*[len(now)] * bool(now), *sorted(others)]
        yield from ([item] * length for item in items for length in lengths)
        yield from (now + items[:1], now[1:], now[::-1], items[:2])  # sets take items that differ

    def _fixed_arrays(self, schemas: Sequence[_Schema], default: Any, depth: int) -> Iterator[list[Any]]:
        now = default if isinstance(default, list) else [None] * len(schemas)
        of_places = zip(schemas, now, strict=True)
        ideas = [[*islice(self.of(schema, each, depth), _MOST_ITEMS)] for schema, each in of_places]
        yield from (list(each) for each in zip(*ideas, strict=False))
        for place, others in enumerate(ideas):
            yield from ([*now[:place], each, *now[place + 1 :]] for each in others)

    def _objects(self, schema: _Schema, default: Any, depth: int) -> Iterator[dict[str, Any]]:
        now = default if isinstance(default, dict) else {}
        for name, of_property in schema.get("properties", {}).items():
            before = now.get(name, of_property.get("default"))
            yield from ({**now, name: each} for each in islice(self.of(of_property, before, depth), _MOST_ITEMS))


def _integers(schema: _Schema, default: Any) -> Iterator[int]:
    start = default if isinstance(default, int) else 0
    step = schema.get("multipleOf", 1)
    yield from (start + step, start + 2 * step, 2 * start, start // 2)
    for bound, sign in _bounds(schema):
        yield from (each for each in (bound, bound + sign * step) if abs(each) <= _LARGEST)
    yield from range(step, 5 * step, step)
    yield from (start - step, 0)


def _numbers(schema: _Schema, default: Any) -> Iterator[float]:
    """Between the bounds, half and twice the default, and of several sizes."""
    start = float(default) if isinstance(default, int | float) else 0.0
    bounds = _bounds(schema)
    if len(bounds) == 2:
        (low, _), (high, _) = bounds
        yield from (low + (high - low) * part for part in (0.25, 0.75, 0.5))
    yield from (start / 2, 2 * start, start + 1.0) if start else ()
    yield from (bound + sign * away for bound, sign in bounds for away in (0.1, 1.0))
    yield from (start + schema.get("multipleOf", 0.5) * steps for steps in (1, 2, -1))
    yield from (1.0, 0.1, 10.0, -1.0, 0.0)


def _bounds(schema: _Schema) -> list[tuple[Any, int]]:
    """The lowest value or what is below it, and the highest or what is above it; each with the way that is inside."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    return [(bound, sign) for bound, sign in ((low, 1), (high, -1)) if bound is not None]


def _strings(schema: _Schema, default: Any) -> Iterator[str]:
    """Words; and what looks like the default, which may have a form that no pattern tells: `3x3`, `2020-01-31`."""
    start = default if isinstance(default, str) else ""
    changed = [re.sub(r"\d", _next_digit, start), re.sub(r"[a-yA-Y]", lambda each: chr(ord(each[0]) + 1), start)]
    in_pattern = changed if start and "pattern" in schema else []
    long = ("a" * schema.get("minLength", 1), start + "a", start[:-1])
    yield from chain(in_pattern, _STRINGS, changed, long, (re.sub(r"\d$", _next_digit, start),))


def _next_digit(digit: re.Match[str]) -> str:
    return str((int(digit[0]) + 1) % 10)
