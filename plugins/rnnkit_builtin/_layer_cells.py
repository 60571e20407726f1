"""The cells of the layers of `mixed`: the name of a kind, or a kind with its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, TypeAdapter, ValidationError, ValidationInfo, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError, to_json

from rnnkit import StackOptions, UnknownKindError, get_kind, resolve_kind

_OF_EVERY_STACK = {field.name for field in fields(StackOptions)}
_KEYS = ("kind", "options")


@dataclass(frozen=True, kw_only=True)
class CellConfig:
    """The kind of the cell of a layer, and the options that the kind adds to those of every stack."""

    kind: str
    options: StackOptions


def cell_of(entry: str | CellConfig) -> partial[Any]:
    """Return the cell of a layer with the options of its kind."""
    kind = get_kind(entry if isinstance(entry, str) else entry.kind)
    options: Any = kind.options() if isinstance(entry, str) else entry.options
    cell: Any = kind.cell
    values = options.of_layer(0)
    return partial(cell.class_for(values), **values)


def own_options(entry: str | CellConfig) -> dict[str, Any]:
    """Return the options of a layer as plain data; empty for the defaults."""
    if isinstance(entry, str):
        return {}
    options = TypeAdapter(type(entry.options)).dump_python(entry.options, mode="json")
    return {name: value for name, value in options.items() if name not in _OF_EVERY_STACK}


def _to_plain(entry: str | CellConfig) -> str | dict[str, Any]:
    return entry if isinstance(entry, str) else {"kind": entry.kind, "options": own_options(entry)}


def _validate(entry: object, info: ValidationInfo) -> str | CellConfig:
    if isinstance(entry, str):
        return _kind_with_cell(entry)
    given = {key: getattr(entry, key) for key in _KEYS} if isinstance(entry, CellConfig) else entry
    if not isinstance(given, Mapping):
        raise _error("Give the name of a kind, or a mapping with the keys 'kind' and 'options'")
    if unknown := [key for key in given if key not in _KEYS]:
        raise _error(f"A cell has the keys 'kind' and 'options', but this one has {unknown[0]!r}")
    if not isinstance(given.get("kind"), str):
        raise _error("A cell requires the key 'kind' with the name of a kind")
    return _cell_config(given["kind"], given.get("options", {}), is_json=info.mode == "json")


def _cell_config(kind: str, options: object, *, is_json: bool) -> str | CellConfig:
    try:
        name = _kind_with_cell(kind)
    except PydanticCustomError as error:
        raise _errors([_line(("kind",), error, kind)]) from None
    cls = get_kind(name).options
    values = _changed_options(options) if type(options) is cls else options
    if not isinstance(values, Mapping):
        raise _errors([_line(("options",), _error("Options should be a mapping"), values)])
    if not values:
        return name  # one form for one meaning, so that equal specs compare equal
    _require_own_options(name, values)
    try:
        made: Any = TypeAdapter(cls).validate_json(to_json(values)) if is_json else cls(**values)
    except ValidationError as error:
        lines = [(line["loc"], _error(line["msg"], line["type"]), line["input"]) for line in error.errors()]
        raise _errors([_line(("options", *loc), each, value) for loc, each, value in lines]) from None
    return CellConfig(kind=name, options=made)


def _changed_options(options: Any) -> dict[str, Any]:
    """Return the kind's own options, and those of every stack that are not at their defaults."""
    defaults, values = StackOptions(), {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        name: value for name, value in values.items() if name not in _OF_EVERY_STACK or value != getattr(defaults, name)
    }


def _require_own_options(kind: str, values: Mapping[Any, Any]) -> None:
    own = [field.name for field in fields(get_kind(kind).options) if field.name not in _OF_EVERY_STACK]
    lines = [
        _line(("options", str(name)), _unknown_error(kind, name, own), values[name])
        for name in values
        if name not in own
    ]
    if lines:
        raise _errors(lines)


def _unknown_error(kind: str, name: object, own: list[str]) -> PydanticCustomError:
    if name in _OF_EVERY_STACK:
        return _error(f"{name!r} is an option of the whole stack: set it beside 'cells'")
    has = f"Its own options: {', '.join(own)}" if own else "It has none of its own"
    return _error(f"The kind {kind!r} has no option {name!r}. {has}")


def _kind_with_cell(name: str) -> str:
    """Return the canonical name of a kind: a saved spec means the same in every environment."""
    try:
        kind = get_kind(name)
    except UnknownKindError as error:
        raise _error(str(error)) from error
    if kind.cell is None:
        raise _error(f"The kind {name!r} is not made of one cell: choose a kind such as 'lstm_cell'")
    chosen = resolve_kind(name).chosen
    return name if chosen is None else chosen.name


def _error(message: str, error_type: str = "value_error") -> PydanticCustomError:
    # pydantic-core declares literals, for translation; at run time any string is accepted
    return PydanticCustomError(error_type, message)  # pyright: ignore[reportArgumentType]


def _line(loc: tuple[int | str, ...], error: PydanticCustomError, value: object) -> InitErrorDetails:
    return InitErrorDetails(type=error, loc=loc, input=value)


def _errors(lines: list[InitErrorDetails]) -> ValidationError:
    return ValidationError.from_exception_data("CellConfig", lines)


_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"kind": {"type": "string"}, "options": {"type": "object"}},
            "required": ["kind"],
            "additionalProperties": False,
        },
    ]
}

LayerCell = Annotated[str | CellConfig, PlainValidator(_validate), PlainSerializer(_to_plain), WithJsonSchema(_SCHEMA)]
"""The type of one entry of the option `cells`."""
