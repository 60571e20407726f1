"""Describes the fields of a spec and of its options for the fields of a form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from docs.site.spec_builder_specs import OPTION, is_valid, message_about
from rnnkit import Kind, RecurrentSpec
from rnnkit.introspection import FieldDescription, describe_options, describe_spec, schema_of
from rnnkit.introspection.model_summary import MOST_LAYERS

# The page computes at each key: a summary has no more layers, and a larger size is a typing error.
MOST = {"num_layers": MOST_LAYERS}
MOST_OTHERWISE = 1_000_000

# Options without a control: the first needs `forget_bias="chrono"`, which the form does not offer either; no kind of
# the page takes the second.
OPTIONS_LEFT_OUT = {"chrono_length", "time_feature"}

_SIGNS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_NOT_A_NUMBER = "x"

Field = dict[str, Any]


def fields_of_spec(kind: str) -> list[Field]:
    """The fields that every kind has, but for `kind` and `options`; a kind is needed to provoke their messages."""
    schema = schema_of(RecurrentSpec)["properties"]
    described = [each for each in describe_spec() if each.name not in {"kind", "options"}]
    return [_field(kind, each.name, each, schema[each.name], []) for each in described]


def fields_of_options(name: str, kind: Kind, kinds: list[str]) -> list[Field]:
    """The options of a kind; `kinds` are what an option that names kinds may name."""
    schema = schema_of(kind.options)["properties"]
    described = [each for each in describe_options(kind.options) if each.name not in OPTIONS_LEFT_OUT]
    return [_field(name, OPTION + each.name, each, schema[each.name], kinds) for each in described]


def _field(kind: str, path: str, described: FieldDescription, schema: dict[str, Any], kinds: list[str]) -> Field:
    branches = schema.get("anyOf", [schema])
    lists = [branch["items"] for branch in branches if branch.get("type") == "array"]
    single = [branch for branch in branches if branch.get("type") not in {"array", "null"}]
    of_one = (single or lists)[0]
    of_one = of_one.get("anyOf", [of_one])[0]  # the names of kinds; the form has no control for cells with options
    of_type = "choice" if of_one["type"] == "string" else of_one["type"]
    return {
        "path": path,
        "type": of_type,
        "lists": "never" if not lists else "also" if single else "only",
        "required": described.required,
        "default": None if described.required else json.loads(described.default),
        "words": described.type,
        "text": described.text,
        **({"missing": _said_without(kind, path)} if described.required else {}),
        **_choices(kind, path, of_one, kinds),
        **_limits(kind, path, of_type, of_one),
    }


def _choices(kind: str, path: str, schema: dict[str, Any], kinds: list[str]) -> Field:
    """Return the values of a text field: those of its type, or the names of the kinds that it accepts."""
    if schema["type"] != "string":
        return {}
    choices = schema.get("enum") or [name for name in kinds if is_valid(kind, {path: [name]})]
    if not choices:
        raise ValueError(f"{kind}: {path} takes any text, for which the spec builder has no control")
    return {"choices": choices}


def _limits(kind: str, path: str, of_type: str, schema: dict[str, Any]) -> Field:
    """Return the bounds of a number, and the messages about values that are out of bounds or not numbers."""
    if of_type not in {"integer", "number"}:
        return {}
    limits = [_limit(kind, path, _SIGNS[key], schema[key]) for key in _SIGNS if key in schema]
    messages = {"message": _said(kind, path, _NOT_A_NUMBER), "limits": limits}
    if of_type == "integer":
        limits += _limit_of_page(path)
        return messages
    return {**messages, "not_finite": _said(kind, path, float("inf"))}


def _limit(kind: str, path: str, sign: str, value: float) -> Field:
    beyond = {">=": value - 1, ">": value, "<=": value + 1, "<": value}[sign]
    return {"sign": sign, "value": value, "message": _said(kind, path, beyond)}


def _limit_of_page(path: str) -> Iterator[Field]:
    most = MOST.get(path, MOST_OTHERWISE)
    yield {"sign": "<=", "value": most, "message": f"This page goes up to {most:,}"}


def _said_without(kind: str, path: str) -> str:
    """Return the message of a spec without a required field."""
    try:
        RecurrentSpec.from_dict({"kind": kind})
    except ValidationError as error:
        return next(line["msg"] for line in error.errors() if line["loc"] == (path,))
    raise ValueError(f"{kind}: a spec without {path} should have been refused")


def _said(kind: str, path: str, value: Any) -> str:
    """Return the message of a spec about a value that it must refuse."""
    message = message_about(path, kind, {path: value})
    if message is None:
        raise ValueError(f"{kind}: {path}={value!r} should have been refused")
    return message
