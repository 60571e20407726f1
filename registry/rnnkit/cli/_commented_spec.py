"""Spec files with a comment on every field."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rnnkit import RecurrentSpec, get_kind
from rnnkit._messages import as_text, escape_control_chars
from rnnkit.files.spec import FORMAT_VERSION, plugin_fields, write_document
from rnnkit.introspection import FieldDescription, describe_options, describe_spec

_WIDTH = 78  # options are indented by 2


def commented_yaml(spec: RecurrentSpec[Any]) -> str:
    """Return the spec file in YAML; a comment above each field and option documents it."""
    options = textwrap.indent(_options(spec, _yaml_line).lstrip("\n"), "  ")
    return (
        _header(spec, _yaml_line) + _fields(spec, _yaml_line) + "\noptions:" + (f"\n{options}" if options else " {}\n")
    )


def commented_toml(spec: RecurrentSpec[Any]) -> str:
    """Return the spec file in TOML; values that TOML cannot represent on a line, such as null, are in comments."""
    return _header(spec, _toml_line) + _fields(spec, _toml_line) + "\n[options]" + (_options(spec, _toml_line) or "\n")


def _header(spec: RecurrentSpec[Any], write: Callable[[str, Any], str]) -> str:
    title = _comment(f"{spec.kind}: {as_text(get_kind(spec.kind).summary)}")
    values = {"format_version": FORMAT_VERSION, **plugin_fields(spec)}
    return title + "".join(write(name, value) for name, value in values.items())


def _fields(spec: RecurrentSpec[Any], write: Callable[[str, Any], str]) -> str:
    return _commented([field for field in describe_spec() if field.name != "options"], spec.to_dict(), write)


def _options(spec: RecurrentSpec[Any], write: Callable[[str, Any], str]) -> str:
    return _commented(describe_options(type(spec.options)), spec.to_dict()["options"], write)


def _commented(fields: Iterable[FieldDescription], values: Mapping[str, Any], write: Callable[[str, Any], str]) -> str:
    comments = (_comment(field.text) + _comment(field.type) + write(field.name, values[field.name]) for field in fields)
    return "".join(f"\n{each}" for each in comments)


def _yaml_line(name: str, value: Any) -> str:
    return write_document({name: value}, ".yaml").decode()


def _toml_line(name: str, value: Any) -> str:
    plain = json.dumps(value, ensure_ascii=False)
    if "null" in plain or "{" in plain:
        return _comment(f"{name} is omitted: {plain}")
    return write_document({name: value}, ".toml").decode()


def _comment(text: str) -> str:
    lines = textwrap.wrap(
        escape_control_chars(text), _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
    return "".join(f"{line}\n" for line in lines)
