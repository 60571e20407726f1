"""The JSON Schema of a dataclass with what its docstrings say, whatever types its fields have."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DataclassSchema

from rnnkit._messages import describe_exception
from rnnkit.errors import PluginError
from rnnkit.introspection.docstrings import text_of_class, texts_of_fields


class ReadableSchema(GenerateJsonSchema):
    """Pydantic's JSON Schema for people: each field says what it means, and none has a title made of its name.

    A type that has no JSON Schema takes anything, where pydantic would give up on the whole class.
    """

    ignored_warning_kinds: set[Any] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # no ClassVar there

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # the same for all
        return False

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:  # noqa: ARG002  # all are taken
        return {}

    def dataclass_schema(self, schema: DataclassSchema) -> JsonSchemaValue:
        return _with_texts(super().dataclass_schema(schema), schema["cls"])


def schema_of(cls: type) -> JsonSchemaValue:
    """The JSON Schema of a pydantic dataclass.

    Raises:
        PluginError: a type of its author's own refuses to be described.
    """
    try:
        return TypeAdapter(cls).json_schema(schema_generator=ReadableSchema)
    except Exception as error:
        raise PluginError(
            f"The fields of {cls.__qualname__} cannot be described: {describe_exception(error)}"
        ) from error


def _with_texts(of_class: JsonSchemaValue, cls: type) -> JsonSchemaValue:
    """The schema of a dataclass with the texts of its docstrings; what a field says of itself goes before them."""
    texts = texts_of_fields(cls)
    properties = {
        name: ({"description": texts[name]} if name in texts else {}) | of_field
        for name, of_field in of_class.get("properties", {}).items()
    }
    return of_class | {"description": text_of_class(cls), "properties": properties}
