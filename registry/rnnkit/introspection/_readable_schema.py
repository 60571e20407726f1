"""The JSON Schema of a dataclass, with the documentation of its fields."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
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
    """Return the JSON Schema of a pydantic dataclass.

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
    """Add the first paragraph of the docstring and the texts of the fields; a field's own `description` wins."""
    summary = " ".join(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].split())
    texts = _field_texts(cls)
    properties = {
        name: ({"description": texts[name]} if name in texts else {}) | field_schema
        for name, field_schema in class_schema.get("properties", {}).items()
    }
    return class_schema | {"description": summary, "properties": properties}


# Pydantic's `use_attribute_docstrings` parses the source when a class is created, which adds 10 ms to the import of
# rnnkit's own options, and drops the texts of inherited fields. Here the source is parsed when somebody asks for it.
@lru_cache(maxsize=256)  # a schema describes each class several times; the limit lets classes go
def _field_texts(cls: type) -> dict[str, str]:
    """Return the string below each field in the source of a class and of its bases; the nearest class wins."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if "__annotations__" in vars(base):
            texts |= _strings_below_fields(base)
    return texts


def _strings_below_fields(cls: type) -> dict[str, str]:
    try:
        module = _parsed(inspect.getsource(sys.modules[cls.__module__]))
    except (KeyError, OSError, TypeError, SyntaxError):  # no source: a notebook, or `exec`
        return {}
    nodes = list(_class_nodes(module, cls.__qualname__.replace(".<locals>", "").split(".")))
    exact = [node for node in nodes if _starts_in(node, getattr(cls, "__firstlineno__", 0))]
    texts = [_texts_in(node) for node in exact or nodes]
    common = set.intersection(*(set(each.items()) for each in texts)) if texts else set()  # if the line is unknown
    return dict(common)


_parsed = lru_cache(maxsize=4)(ast.parse)  # the options of several kinds may be in one module


def _class_nodes(scope: ast.AST, path: list[str]) -> Iterator[ast.ClassDef]:
    """The classes at a path such as `["Outer", "Inner"]`; a name may be assigned more than once."""
    name, *inner = path
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _class_nodes(node, path)  # an `if` or `with`, which is not a scope
        elif node.name == name and inner:
            yield from _class_nodes(node, inner)
        elif node.name == name and isinstance(node, ast.ClassDef):
            yield node


def _starts_in(node: ast.ClassDef, line: int) -> bool:
    """True if a line is in the class statement, decorators included, before its body."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return first <= line <= node.body[0].lineno


def _texts_in(node: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairwise(_statements(node.body))
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a class, those in the branches of an `if` included."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements([*node.body, *node.orelse])
        else:
            yield node
