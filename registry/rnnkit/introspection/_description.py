"""Readable descriptions of the fields of specs and options."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from rnnkit._messages import short_repr
from rnnkit.catalog import get_kind
from rnnkit.errors import InputError
from rnnkit.introspection._readable_schema import schema_of
from rnnkit.introspection._type_text import type_text
from rnnkit.options import Options


class FieldDescription(NamedTuple):
    """Description of one field, in the notation of spec files.

    Attributes:
        name: name of the field.
        type: accepted values, such as `float in [0, 1)`.
        default: the default as JSON, which is also valid YAML; `required` (without quotes) if there is none.
        text: documentation of the field, on one line; empty if it has none.
    """

    name: str
    type: str
    default: str
    text: str

    @property
    def required(self) -> bool:
        """Whether a spec must have this field."""
        return self.default == _REQUIRED


_REQUIRED = "required"


def describe_options(cls: type[Options] | str) -> list[FieldDescription]:
    """Return the options of a kind, in the order of their declaration.

    The text of an option is the `description` of its `Field`, or the string below it in the source of the class.

    Args:
        cls: the name of the kind, or its class of options.

    Raises:
        InputError: `cls` is neither a name nor a class of options.
        UnknownKindError, BlockedKindError, AmbiguousKindError: the kind is not available.
        PluginError: the plugin of the kind is broken, or the type of a field, defined by the plugin, fails to generate
            its JSON Schema.
    """
    if isinstance(cls, str):
        cls = get_kind(cls).options
    if not hasattr(cls, "__pydantic_fields__"):
        raise InputError(
            "describe_options takes the name of a kind or its class of options, such as get_kind('gru').options, "
            f"not {short_repr(cls)}"
        )
    schema = schema_of(cls)
    fields = _fields_by_alias(cls)
    return [
        FieldDescription(
            name=name,
            type=type_text(field_schema, schema.get("$defs", {})) or _annotation_text(fields[name]),
            default=_default(field_schema, fields[name]),
            text=re.sub(r"\bNone\b", "null", " ".join(field_schema.get("description", "").split())),  # as in files
        )
        for name, field_schema in schema["properties"].items()
    ]


def describe_spec() -> list[FieldDescription]:
    """Return the fields of a `RecurrentSpec`, in the order of their declaration."""
    from rnnkit.specs import RecurrentSpec  # not needed for options

    return describe_options(RecurrentSpec)  # type: ignore[arg-type]  # a pydantic dataclass too


def _fields_by_alias(cls: Any) -> dict[str, FieldInfo]:
    fields: dict[str, FieldInfo] = cls.__pydantic_fields__
    return {field.alias or name: field for name, field in fields.items()}


def _annotation_text(field: FieldInfo) -> str:
    """Return the text of a type without a JSON Schema."""
    annotation = getattr(field.annotation, "__bound__", None) or field.annotation
    if get_origin(annotation) is dict:
        return "mapping"
    if isinstance(annotation, type):
        return "mapping" if issubclass(annotation, Options) else annotation.__name__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")


def _default(field_schema: dict[str, Any], field: FieldInfo) -> str:
    if field.is_required():
        return _REQUIRED
    declared = to_jsonable_python(field.get_default(call_default_factory=True), fallback=repr)
    return json.dumps(field_schema.get("default", declared), ensure_ascii=False)
