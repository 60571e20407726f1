"""A spec as a file that explains itself."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rnnkit import RecurrentSpec, get_kind
from rnnkit.cli.escape import as_text, escape_control_chars, in_a_file
from rnnkit.files.spec import FORMAT_VERSION, write_document
from rnnkit.introspection import FieldDescription, describe_options, describe_spec
from rnnkit.specs import plugin_of

_WIDTH = 80


def commented_yaml(spec: RecurrentSpec[Any]) -> str:
    """The spec file in YAML: each field and option below what it takes and means."""
    options = textwrap.indent(_options(spec, _in_yaml).lstrip("\n"), "  ")
    return _opening(spec, _in_yaml) + _fields(spec, _in_yaml) + "\noptions:" + (f"\n{options}" if options else " {}\n")


def commented_toml(spec: RecurrentSpec[Any]) -> str:
    """The same in TOML. What TOML has no line for, such as null, is a default, and so may stand in a comment."""
    return _opening(spec, _in_toml) + _fields(spec, _in_toml) + "\n[options]" + (_options(spec, _in_toml) or "\n")


def _opening(spec: RecurrentSpec[Any], write: Callable[[str, Any], str]) -> str:
    title = _comment(f"{spec.kind}: {as_text(get_kind(spec.kind).summary)}")
    values = {"format_version": FORMAT_VERSION, "plugin": plugin_of(spec.kind)}
    return title + "".join(write(name, value) for name, value in values.items() if value is not None)


def _fields(spec: RecurrentSpec[Any], write: Callable[[str, Any], str]) -> str:
    values = spec.to_dict()
    return _explained([field for field in describe_spec() if field.name != "options"], values, write)


def _options(spec: RecurrentSpec[Any], write: Callable[[str, Any], str]) -> str:
    return _explained(describe_options(type(spec.options)), spec.to_dict()["options"], write)


def _explained(fields: Iterable[FieldDescription], values: Mapping[str, Any], write: Callable[[str, Any], str]) -> str:
    return "".join(
        "\n" + _comment(in_a_file(field.text)) + _comment(field.type) + write(field.name, values[field.name])
        for field in fields
    )


def _in_yaml(name: str, value: Any) -> str:
    return write_document({name: value}, ".yaml").decode()


def _in_toml(name: str, value: Any) -> str:
    plain = json.dumps(value, ensure_ascii=False)
    return (
        _comment(f"{name} is left out: {plain}")
        if "null" in plain or "{" in plain
        else write_document({name: value}, ".toml").decode()
    )


def _comment(text: str) -> str:
    lines = textwrap.wrap(
        escape_control_chars(text), _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
    return "".join(f"{line}\n" for line in lines)
