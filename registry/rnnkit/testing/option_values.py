"""Other values that the options of a kind may have, found by their types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rnnkit import Options


def other_values(options: type[Options]) -> dict[str, list[Any]]:
    """For each field of a class of options, some values other than its default that the field alone takes.

    A field for whose type there is no idea has none.
    """
    schema = TypeAdapter(options).json_schema()
    defaults, definitions = options(), schema.get("$defs", {})
    found: dict[str, list[Any]] = {}
    for field in fields(options):
        default = getattr(defaults, field.name)
        ideas = _ideas(schema["properties"][field.name], definitions, default)
        found[field.name] = [each for each in ideas if _is_taken(options, field.name, each, default)]
    return found


def _ideas(schema: Mapping[str, Any], definitions: Mapping[str, Any], default: Any) -> Iterator[Any]:
    """Values that a JSON Schema allows, or may."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    for branch in schema.get("anyOf", []):
        yield from _ideas(branch, definitions, default)
    yield from schema.get("enum", [])
    if "const" in schema:
        yield schema["const"]
    yield from _of_type(schema, default)


def _of_type(schema: Mapping[str, Any], default: Any) -> Iterator[Any]:
    match schema.get("type"):
        case "boolean":
            yield from (False, True)
        case "integer":
            yield from _integers(default)
        case "number":
            yield from _numbers(schema, default)


def _integers(default: Any) -> Iterator[int]:
    start = default if isinstance(default, int) else 0
    yield from (start + 1, start + 2, start - 1, 2 * start, start // 2)


def _numbers(schema: Mapping[str, Any], default: Any) -> Iterator[float]:
    """Between the bounds, or half and twice of the default."""
    start = float(default) if isinstance(default, int | float) else 0.0
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and high is not None:
        yield from (low + (high - low) / 4, low + (high - low) * 3 / 4)
    yield from (start / 2, start + 0.5, start + 1.0, start - 0.5)


def _is_taken(options: type[Options], name: str, value: Any, default: Any) -> bool:
    if value == default:
        return False
    try:
        options(**{name: value})
    except ValidationError:
        return False
    return True
