"""Sample values of options, derived from their types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from enum import Enum
from itertools import chain, islice, zip_longest
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from rnnkit import Options
from rnnkit.introspection import schema_of
from rnnkit.options import plain_defaults

_MAX_VALUES = 8  # of one field
_MAX_ITEMS = 16  # values of the items of a list
_PARTS = (0.02, *(tenth / 10 for tenth in range(1, 10)), 0.98)  # of a range
_LENGTHS = (1, 2, 3, 4)  # of lists
_MAX_INTEGER = 64  # integers are often sizes
# Common names in options of layers, then strings that common patterns match.
_STRINGS = ("relu", "tanh", "sigmoid", "sum", "mean", "none", "gru_cell", "lstm_cell", "a", "A", "1", "a1", "1x1")

_Schema = Mapping[str, Any]


def sample_option_values(options: type[Options]) -> dict[str, list[Any]]:
    """For each field of an options class, valid values other than the default, most useful first.

    The list is empty for types that the kit has no values for.

    Raises:
        PluginError: a field has a custom type without a JSON Schema.
    """
    schema, defaults = schema_of(options), plain_defaults(options)
    candidates, schemas = _Candidates(schema.get("$defs", {})), schema["properties"]
    found = {field.name: candidates.of(schemas.get(field.name, {}), defaults[field.name]) for field in fields(options)}
    return {name: _valid_values(options, name, each) for name, each in found.items()}


def sweep_ranges(options: type[Options]) -> dict[str, list[float]]:
    """For each field that is a number between two bounds, numbers from the lower to the upper bound."""
    schema = schema_of(options)
    definitions, found = schema.get("$defs", {}), {}
    for name, each in schema["properties"].items():
        for branch in (each, *each.get("anyOf", [])):
            resolved = definitions[branch["$ref"].rpartition("/")[2]] if "$ref" in branch else branch
            bounds = _bounds(resolved)
            if resolved.get("type") == "number" and len(bounds) == 2:
                found[name] = sweep(*(bound for bound, _ in bounds))
    return found


def sweep(low: float, high: float) -> list[float]:
    """Numbers from close to the lower to close to the upper bound."""
    return [low + (high - low) * part for part in _PARTS]


def is_choice(value: Any) -> bool:
    """Whether a value is one of a few choices, rather than a number."""
    return isinstance(value, bool | str | Enum)


def interleave(several: Iterable[Iterable[Any]]) -> Iterator[Any]:
    """The first item of each, then the second of each, and so on."""
    nothing = object()
    return (each for items in zip_longest(*several, fillvalue=nothing) for each in items if each is not nothing)


def _valid_values(options: type[Options], name: str, candidates: Iterator[Any]) -> list[Any]:
    """The candidates that a field accepts, after validation: enumeration members, tuples for lists."""
    adapter, default = TypeAdapter(options), getattr(options(), name)
    found = [default]
    for candidate in candidates:
        with suppress(Exception):  # a validator of the plugin may raise anything
            value = getattr(adapter.validate_json(to_json({name: candidate})), name)
            if not any(type(value) is type(other) and value == other for other in found):
                found.append(value)
        if len(found) > _MAX_VALUES:
            break
    return found[1:]


class _Candidates:
    """Plain data that a JSON Schema may allow. It may contain the default, duplicates and invalid values."""

    def __init__(self, definitions: Mapping[str, _Schema]) -> None:
        self._definitions = definitions

    def of(self, schema: _Schema, default: Any, depth: int = 3) -> Iterator[Any]:
        """Candidates for a schema, close to the default; `depth` limits the nesting."""
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        branches = [branch for key in ("anyOf", "oneOf", "allOf") for branch in schema.get(key, [])]
        yield from interleave([self.of(branch, default, depth) for branch in branches])
        yield from schema.get("enum", [])
        yield from (schema[key] for key in ("const",) if key in schema)
        if depth:
            yield from self._of_type(schema, default, depth - 1)

    def _of_type(self, schema: _Schema, default: Any, depth: int) -> Iterable[Any]:
        match schema.get("type"):
            case "array":
                return self._arrays(schema, default, depth)
            case "object":
                return self._objects(schema, default, depth)
            case kind:
                return _SIMPLE[kind](schema, default) if kind in _SIMPLE else ()

    def _arrays(self, schema: _Schema, default: Any, depth: int) -> Iterator[list[Any]]:
        if "prefixItems" in schema:
            yield from self._fixed_arrays(schema["prefixItems"], default, depth)
            return
        current = default if isinstance(default, list) else []
        candidates = self.of(schema.get("items", {}), current[0] if current else default, depth)
        items = [each for each in islice(candidates, _MAX_ITEMS) if each not in (default, *current)]
        others = {*_LENGTHS, schema.get("minItems", 1)} - {len(current)}
        lengths = [*[len(current)] * bool(current), *sorted(others)]
        yield from ([item] * length for item in items for length in lengths)
        yield from (current + items[:1], current[1:], current[::-1], items[:2])  # sets need distinct items

    def _fixed_arrays(self, schemas: Sequence[_Schema], default: Any, depth: int) -> Iterator[list[Any]]:
        current = default if isinstance(default, list) else [None] * len(schemas)
        pairs = zip(schemas, current, strict=True)
        candidates = [[*islice(self.of(schema, each, depth), _MAX_ITEMS)] for schema, each in pairs]
        yield from (list(each) for each in zip(*candidates, strict=False))
        for index, others in enumerate(candidates):
            yield from ([*current[:index], each, *current[index + 1 :]] for each in others)

    def _objects(self, schema: _Schema, default: Any, depth: int) -> Iterator[dict[str, Any]]:
        current = default if isinstance(default, dict) else {}
        for name, property_schema in schema.get("properties", {}).items():
            before = current.get(name, property_schema.get("default"))
            yield from ({**current, name: each} for each in islice(self.of(property_schema, before, depth), _MAX_ITEMS))


def _integers(schema: _Schema, default: Any) -> Iterator[int]:
    start = default if isinstance(default, int) else 0
    step = schema.get("multipleOf", 1)
    yield from (start + step, start + 2 * step, 2 * start, start // 2)
    for bound, sign in _bounds(schema):
        yield from (each for each in (bound, bound + sign * step) if abs(each) <= _MAX_INTEGER)
    yield from range(step, 5 * step, step)
    yield from (start - step, 0)


def _numbers(schema: _Schema, default: Any) -> Iterator[float]:
    """Numbers between the bounds, half and twice the default, and numbers of several magnitudes."""
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
    """The lower and the upper bound, inclusive or exclusive, each with the sign of the direction inwards."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    return [(bound, sign) for bound, sign in ((low, 1), (high, -1)) if bound is not None]


def _strings(schema: _Schema, default: Any) -> Iterator[str]:
    """Common words, and variations of the default, which may have a format such as `3x3` or `2020-01-31`."""
    start = default if isinstance(default, str) else ""
    changed = [re.sub(r"\d", _next_digit, start), re.sub(r"[a-yA-Y]", lambda each: chr(ord(each[0]) + 1), start)]
    in_pattern = changed if start and "pattern" in schema else []
    long = ("a" * schema.get("minLength", 1), start + "a", start[:-1])
    yield from chain(in_pattern, _STRINGS, changed, long, (re.sub(r"\d$", _next_digit, start),))


def _next_digit(digit: re.Match[str]) -> str:
    return str((int(digit[0]) + 1) % 10)


_SIMPLE: Mapping[Any, Callable[[_Schema, Any], Iterable[Any]]] = {
    "boolean": lambda *_: (True, False),
    "integer": _integers,
    "number": _numbers,
    "string": _strings,
    "null": lambda *_: (None,),
}
