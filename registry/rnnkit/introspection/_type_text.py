"""Readable texts of types, from their JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_Schema = Mapping[str, Any]

_NAMES = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "str",
    "null": "null",
    "object": "mapping",
    "array": "list",
}


def type_text(schema: _Schema, definitions: Mapping[str, Any]) -> str:
    """Return a readable type, such as `float in [0, 1) or a list of them`; empty if the schema accepts anything.

    Args:
        schema: JSON Schema of a value, as pydantic generates it.
        definitions: the schemas that its references name.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        others = {other: each for other, each in definitions.items() if other != name}  # a type may be recursive
        return type_text(definitions.get(name, {}), others)
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    if "const" in schema:
        return _literal(schema["const"])
    branches = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if branches:
        return _alternatives(branches, definitions)
    return _plain(schema, definitions)


def _alternatives(branches: list[_Schema], definitions: Mapping[str, Any]) -> str:
    texts: list[str] = []
    for branch in branches:
        items = type_text(branch.get("items", {}), definitions)
        texts.append("a list of them" if items in texts else type_text(branch, definitions))
    return " or ".join(dict.fromkeys(texts)) if all(texts) else ""


def _plain(schema: _Schema, definitions: Mapping[str, Any]) -> str:
    json_type = schema.get("type")
    if isinstance(json_type, list):
        return " or ".join(_NAMES[each] for each in json_type)
    if json_type == "array":
        return _array(schema, definitions)
    name = _NAMES.get(str(json_type), "")
    constraints = [
        _bounds(schema),
        *(template.format(schema[key]) for key, template in _TEMPLATES.items() if key in schema),
    ]
    return " ".join(filter(None, [name, *constraints]))


_TEMPLATES = {"multipleOf": "(a multiple of {})", "format": "({})", "pattern": "matching {}"}


def _array(schema: _Schema, definitions: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        parts = [type_text(part, definitions) or "anything" for part in schema["prefixItems"]]
        return f"[{', '.join(parts)}]"
    items = type_text(schema.get("items", {}), definitions)
    return f"list of {items}" if items else "list"


def _bounds(schema: _Schema) -> str:
    """Return `>= 1`, `< 1` or `in [0, 1)`; empty without bounds."""
    lower = [f"{sign} {_literal(schema[key])}" for key, sign in _LOWER.items() if key in schema]
    upper = [f"{sign} {_literal(schema[key])}" for key, sign in _UPPER.items() if key in schema]
    if not (lower and upper):
        return "".join(lower or upper)
    opening, closing = "[" if ">=" in lower[0] else "(", "]" if "<=" in upper[0] else ")"
    return f"in {opening}{lower[0].split()[1]}, {upper[0].split()[1]}{closing}"


_LOWER = {"minimum": ">=", "exclusiveMinimum": ">"}
_UPPER = {"maximum": "<=", "exclusiveMaximum": "<"}


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
