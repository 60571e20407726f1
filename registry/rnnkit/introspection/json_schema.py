"""The JSON Schema of spec files, made of the kinds that are installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from rnnkit.catalog import current_catalog
from rnnkit.errors import RnnkitError
from rnnkit.introspection.readable_schema import ReadableSchema, schema_of
from rnnkit.kind import Kind
from rnnkit.specs import RecurrentSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DESCRIPTION = """\
A recurrent model of rnnkit, with the kinds that are installed where this schema was made.

`rnnkit validate` knows more than a schema can say: that `hidden_size`, where it is a list, has one size for each of \
`num_layers`; that a whole number is written without a decimal point; what the author of a kind checks, such as \
`proj_size` being smaller than `hidden_size`, or whether the kinds named in an option are installed."""

# What a file has beside the fields of a spec.
_OF_THE_FILE: dict[str, Any] = {
    "$schema": {"type": "string", "description": "Where this schema is, for editors. rnnkit does not read it."},
    "format_version": {"const": 1, "description": "The version of the form of the file; left out: 1."},
    "plugin": {
        "type": "string",
        "pattern": r"^\s*[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?\s*(==\s*[A-Za-z0-9]([\w.!+-]*[A-Za-z0-9])?\s*)?$",
        "description": "Who provided the kind when the file was written, as pip reads it: `name==version`.",
    },
    "null": {
        "type": "array",
        "items": {"type": "string"},
        "description": "The fields that are null, such as `options.x`: in TOML, which has no null.",
    },
}

# `options.x.1` in `null`: an item of a list, whose place in the file is held by something of another type.
_HOLDS_A_PLACE: dict[str, Any] = {"contains": {"type": "string", "pattern": r"\.[0-9]+(\.|$)"}}

_NO_PLACES: dict[str, Any] = {"properties": {"null": {"not": _HOLDS_A_PLACE}}}

_DROPOUT_NEEDS_LAYERS = {
    "if": {"properties": {"dropout": {"exclusiveMinimum": 0}}, "required": ["dropout"]},
    "then": {"properties": {"num_layers": {"minimum": 2}}, "required": ["num_layers"]},
}


def spec_schema(kinds: Iterable[str] | None = None) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a spec file, be it YAML, TOML or JSON. Loads the plugins of its kinds.

    Args:
        kinds: which kinds it takes; None: all that can be had here. `kinds_left_out` says which cannot, and why.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: a kind that was named cannot be had.
    """
    records = _installed()[0] if kinds is None else _named(kinds)
    options, definitions = _schemas_of_options(records)
    of_spec = schema_of(RecurrentSpec)
    return {
        "$schema": DIALECT,
        "title": "Recurrent model",
        "description": _DESCRIPTION,
        "type": "object",
        "required": of_spec["required"],
        "properties": _OF_THE_FILE | of_spec["properties"] | _of_these_kinds(records),
        "additionalProperties": False,
        "allOf": [_DROPOUT_NEEDS_LAYERS, _one_size(records), {"if": _NO_PLACES, "then": {"allOf": options}}],
        "$defs": definitions,
    }


def kinds_left_out() -> dict[str, str]:
    """The kinds that are installed and that no spec can have here, and why. Loads every plugin that is not blocked."""
    blocked = [each for each in current_catalog().providers() if each.status == "blocked"]
    return _installed()[1] | {each.candidate.name: f"It is {each.note}" for each in blocked}


def _installed() -> tuple[dict[str, Kind], dict[str, str]]:
    """The records of all kinds that are not blocked, by name; and, of those that are broken, how they are."""
    usable: dict[str, Kind] = {}
    broken: dict[str, str] = {}
    for name in current_catalog().names():
        try:
            usable |= _named([name])
        except RnnkitError as error:
            broken[name] = str(error)
    return usable, broken


def _named(kinds: Iterable[str]) -> dict[str, Kind]:
    """The records of kinds by their canonical names, if they can be had and described."""
    records = {current_catalog().current_name(name): current_catalog().get(name) for name in kinds}
    for kind in records.values():
        schema_of(kind.options)
    return records


def _of_these_kinds(records: Mapping[str, Kind]) -> dict[str, Any]:
    """The fields that depend on what is installed."""
    names = [spelling for name in records for spelling in _spellings(name)]
    return {
        "kind": {"enum": names, "description": "The kind of recurrent network."},
        "options": {"type": "object", "description": "What only this kind has."},
    }


def _schemas_of_options(records: Mapping[str, Kind]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A rule for each kind, what its options are; and the definitions that these rules refer to."""
    classes = [(name, "validation", TypeAdapter(kind.options)) for name, kind in records.items()]
    schemas, shared = TypeAdapter.json_schemas(classes, schema_generator=ReadableSchema)  # type: ignore[arg-type]  # names are keys too
    rules = [
        {"if": _is_one_of(_spellings(name)), "then": {"properties": {"options": of_options}}}
        for (name, _), of_options in schemas.items()
    ]
    return rules, shared.get("$defs", {})


def _one_size(records: Mapping[str, Kind]) -> dict[str, Any]:
    """The rule that some kinds have one size for all layers."""
    names = [each for name, kind in records.items() if not kind.sizes_per_layer for each in _spellings(name)]
    return {"if": _is_one_of(names), "then": {"properties": {"hidden_size": {"type": "integer"}}}}


def _is_one_of(names: list[str]) -> dict[str, Any]:
    return {"properties": {"kind": {"enum": names}}, "required": ["kind"]}


def _spellings(name: str) -> list[str]:
    """The names that stand for the kind of a canonical name: with its distribution and, if that is clear, without."""
    resolved = current_catalog().resolve
    chosen = resolved(name).require()
    spellings = [name, chosen.kind, f"{chosen.distribution}/{chosen.kind}"]
    for old in current_catalog().aliases_of(name):
        spellings += [old, old.rpartition("/")[2]]
    return [each for each in dict.fromkeys(spellings) if resolved(each).chosen == chosen]
