"""The JSON Schema of spec files, from the installed kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from rnnkit.catalog import current_catalog
from rnnkit.errors import RnnkitError
from rnnkit.introspection._readable_schema import ReadableSchema, schema_of
from rnnkit.kind import Kind
from rnnkit.specs import RecurrentSpec

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DESCRIPTION = """\
A recurrent model of rnnkit, with the kinds that were installed when this schema was generated.

`rnnkit validate` also checks rules that a schema cannot express: a list as `hidden_size` has one size for each of \
`num_layers`; integers are written without a decimal point; numbers of options are in the range of float32; \
`padding_idx` is less than `num_embeddings`; with `tie_weights`, `output_size` equals `num_embeddings`; and the \
rules of each kind, such as `proj_size` being smaller than `hidden_size`, or that the kinds named in \
an option are installed."""

_REQUIREMENT = {
    "type": "string",
    "pattern": r"^\s*[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?\s*(==\s*[A-Za-z0-9]([\w.!+-]*[A-Za-z0-9])?\s*)?$",
}

# The fields of a file in addition to those of the spec.
_FILE_FIELDS: dict[str, Any] = {
    "$schema": {"type": "string", "description": "Location of this schema, for editors. rnnkit ignores it."},
    "format_version": {"const": 1, "description": "Version of the file format; 1 if omitted."},
    "plugin": _REQUIREMENT
    | {"description": "Distribution that provided the kind when the file was written: `name==version`."},
    "readout_plugin": _REQUIREMENT
    | {"description": "Distribution that provided the readout, if not rnnkit, when the file was written."},
    "null": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Fields that are null, such as `options.x`, for TOML, which has no null.",
    },
}

# `options.x.1` in `null` is a list item that is null, for which the file has a placeholder of another type.
_HAS_PLACEHOLDER: dict[str, Any] = {"contains": {"type": "string", "pattern": r"\.[0-9]+(\.|$)"}}

_NO_PLACEHOLDERS: dict[str, Any] = {"properties": {"null": {"not": _HAS_PLACEHOLDER}}}

_INTEGER = {"type": "integer"}
# A field, some of its values, and the values of other fields that they require.
_REQUIREMENTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("dropout", {"exclusiveMinimum": 0}, {"num_layers": {"minimum": 2}}),
    ("readout_dropout", {"exclusiveMinimum": 0}, {"output_size": _INTEGER}),
    ("padding_idx", _INTEGER, {"num_embeddings": _INTEGER}),
    ("tie_weights", {"const": True}, {"num_embeddings": _INTEGER, "output_size": _INTEGER}),
]


def spec_schema(kinds: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of spec files in YAML, TOML or JSON. Loads the plugins of its kinds.

    Args:
        kinds: the kind or kinds that the schema accepts; None: all available ones. `kinds_left_out` returns the others,
            each with the reason.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: one of `kinds` is not available.
    """
    kinds = [kinds] if isinstance(kinds, str) else kinds
    records = _installed_kinds()[0] if kinds is None else _named_kinds(kinds)
    options, definitions = _option_schemas(records)
    spec = schema_of(RecurrentSpec)
    return {
        "$schema": _DIALECT,
        "title": "Recurrent model",
        "description": _DESCRIPTION,
        "type": "object",
        "required": spec["required"],
        "properties": _FILE_FIELDS | spec["properties"] | _kind_fields(records),
        "additionalProperties": False,
        "allOf": [
            *(_rule({name: values}, others, required=[*others]) for name, values, others in _REQUIREMENTS),
            _single_size_rule(records),
            {"if": _NO_PLACEHOLDERS, "then": {"allOf": options}},
        ],
        "$defs": definitions,
    }


def kinds_left_out() -> dict[str, str]:
    """Return the installed kinds that are broken or blocked, each with the reason. Loads the plugins not blocked."""
    blocked = [each for each in current_catalog().providers() if each.status == "blocked"]
    return _installed_kinds()[1] | {each.candidate.name: f"It is {each.note}" for each in blocked}


def _installed_kinds() -> tuple[dict[str, Kind], dict[str, str]]:
    """Return the records of the usable kinds by name, and the errors of the broken kinds by name."""
    usable: dict[str, Kind] = {}
    broken: dict[str, str] = {}
    for name in current_catalog().names():
        try:
            usable |= _named_kinds([name])
        except RnnkitError as error:
            broken[name] = str(error)
    return usable, broken


def _named_kinds(kinds: Iterable[str]) -> dict[str, Kind]:
    """Return the records of kinds by their canonical names; raises if one is not available or not describable."""
    records = {current_catalog().current_name(name): current_catalog().get(name) for name in kinds}
    for kind in records.values():
        schema_of(kind.options)
    return records


def _kind_fields(records: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the schemas of the fields that depend on the installed kinds."""
    names = [spelling for name in records for spelling in _spellings(name)]
    return {
        "kind": {"enum": names, "description": "The kind of recurrent network."},
        "options": {"type": "object", "description": "Options of this kind."},
    }


def _option_schemas(records: Mapping[str, Kind]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return a rule for the options of each kind, and the definitions that the rules refer to."""
    classes = [(name, "validation", TypeAdapter(kind.options)) for name, kind in records.items()]
    schemas, shared = TypeAdapter.json_schemas(classes, schema_generator=ReadableSchema)  # type: ignore[arg-type]  # names are keys too
    rules = [
        _rule({"kind": {"enum": _spellings(name)}}, {"options": option_schema})
        for (name, _), option_schema in schemas.items()
    ]
    return rules, shared.get("$defs", {})


def _single_size_rule(records: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the rule that some kinds accept only one hidden size for all layers."""
    names = [each for name, kind in records.items() if not kind.sizes_per_layer for each in _spellings(name)]
    return _rule({"kind": {"enum": names}}, {"hidden_size": _INTEGER})


def _rule(given: dict[str, Any], then: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the rule that fields with the schemas of `given` require others with those of `then`."""
    return {"if": {"properties": given, "required": [*given]}, "then": {"properties": then, **more}}


def _spellings(name: str) -> list[str]:
    """Return all unambiguous names of the kind with a canonical name, with and without its distribution."""
    resolved = current_catalog().resolve
    chosen = resolved(name).require()
    spellings = [name, chosen.bare_name, f"{chosen.distribution}/{chosen.bare_name}"]
    for old in current_catalog().aliases_of(name):
        spellings += [old, old.rpartition("/")[2]]
    return [each for each in dict.fromkeys(spellings) if resolved(each).chosen == chosen]
