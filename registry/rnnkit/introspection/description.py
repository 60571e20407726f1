"""What the fields of a spec and of a kind's options are, for people to read."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from rnnkit.introspection.readable_schema import schema_of
from rnnkit.introspection.type_text import type_words
from rnnkit.options import Options


class FieldDescription(NamedTuple):
    """One field, as one writes it into a spec file.

    Attributes:
        name: what it is called.
        type: what it takes, in words.
        default: its default as JSON, which YAML reads as well; `required` (without quotes) where it has none.
        text: what it means, on one line; empty where nobody says.
    """

    name: str
    type: str
    default: str
    text: str

    @property
    def required(self) -> bool:
        """Whether a spec must say it."""
        return self.default == REQUIRED


REQUIRED = "required"


def describe_options(cls: type[Options]) -> list[FieldDescription]:
    """The options of a class, in the order in which it declares them.

    A text is the `description` of the field, or what the section `Attributes:` says of it in the docstring of the class
    or of one of its bases.

    Raises:
        PluginError: one of its fields has a type of the plugin's own that refuses to be described.
    """
    return _described(cls)


def describe_spec() -> list[FieldDescription]:
    """The fields of a `RecurrentSpec`, in its order."""
    from rnnkit.specs import RecurrentSpec  # not needed for options

    return _described(RecurrentSpec)


def _described(cls: Any) -> list[FieldDescription]:
    schema = schema_of(cls)
    definitions = schema.get("$defs", {})
    return [
        FieldDescription(
            name=name,
            type=type_words(of_field, definitions) or _annotation(_fields_of(cls)[name]),
            default=_default(of_field, _fields_of(cls)[name]),
            text=of_field.get("description", ""),
        )
        for name, of_field in schema["properties"].items()
    ]


def _fields_of(cls: Any) -> dict[str, FieldInfo]:
    """The fields of a pydantic dataclass by the names that one writes."""
    fields: dict[str, FieldInfo] = cls.__pydantic_fields__
    return {field.alias or name: field for name, field in fields.items()}


def _annotation(field: FieldInfo) -> str:
    """The type of a field without a JSON Schema."""
    annotation = getattr(field.annotation, "__bound__", None) or field.annotation
    if isinstance(annotation, type):
        return "mapping" if issubclass(annotation, Options) else annotation.__name__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")


def _default(of_field: dict[str, Any], field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    declared = to_jsonable_python(field.get_default(call_default_factory=True), fallback=repr)
    return json.dumps(of_field.get("default", declared), ensure_ascii=False)
