"""The JSON Schema of a dataclass, with the documentation of its fields."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from textwrap import dedent
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DataclassSchema

from rnnkit._messages import describe_exception
from rnnkit.errors import PluginError


class ReadableSchema(GenerateJsonSchema):
    """Pydantic's JSON Schema with the documentation of each field, and without titles generated from field names.

    A type without a JSON Schema accepts anything; pydantic would raise an error for the whole class.
    """

    ignored_warning_kinds: set[Any] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # no ClassVar there

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # the same for all
        return False

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:  # noqa: ARG002  # all are accepted
        return {}

    def dataclass_schema(self, schema: DataclassSchema) -> JsonSchemaValue:
        return _with_descriptions(super().dataclass_schema(schema), schema["cls"])


def schema_of(cls: type) -> JsonSchemaValue:
    """Returns the JSON Schema of a pydantic dataclass.

    Raises:
        PluginError: the type of a field, defined by the plugin, fails to generate its JSON Schema.
    """
    try:
        return TypeAdapter(cls).json_schema(schema_generator=ReadableSchema)
    except Exception as error:
        raise PluginError(
            f"The fields of {cls.__qualname__} cannot be described: {describe_exception(error)}"
        ) from error


def _with_descriptions(class_schema: JsonSchemaValue, cls: type) -> JsonSchemaValue:
    """Adds the first paragraph of the docstring and the texts of the fields; a field's own `description` wins."""
    summary = " ".join(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].split())
    texts = _field_texts(cls)
    properties = {
        name: ({"description": texts[name]} if name in texts else {}) | field_schema
        for name, field_schema in class_schema.get("properties", {}).items()
    }
    return class_schema | {"description": summary, "properties": properties}


# Pydantic's `use_attribute_docstrings` parses the source when a class is created, which adds 10 ms to the import of
# rnnkit's own options, and drops the texts of inherited fields. Here the source is parsed when somebody asks for it.
def _field_texts(cls: type) -> dict[str, str]:
    """Returns the string below each field in the source of a class and of its bases; the nearest class wins."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if "__annotations__" in vars(base):
            texts |= _strings_below_fields(base)
    return texts


def _strings_below_fields(cls: type) -> dict[str, str]:
    try:
        body = ast.parse(dedent(inspect.getsource(cls))).body[0].body  # type: ignore[attr-defined]  # of a class
    except (OSError, TypeError, SyntaxError):  # no source: a notebook, `exec`, or a class made by a function
        return {}
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_string(below)
    }


def _is_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
