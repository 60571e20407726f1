"""`PerLayer`: an option that is one value, or a tuple with one for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import ConfigDict, GetCoreSchemaHandler, Strict
from pydantic_core.core_schema import CoreSchema

from rnnkit.options.one_or_each import one_or_each

T = TypeVar("T")

# as in `Options`: the validator of a field does not see the configuration of its class
_CONFIG = ConfigDict(strict=True, allow_inf_nan=False)


class _Marker:
    """Validates `PerLayer[T]`, and is found in the metadata of its field."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        each = get_args(source)[-1]
        one = get_args(each)[0]
        if _accepts_tuples(one):
            raise TypeError(f"PerLayer[{one}] is ambiguous: a tuple would be one value, or one for each layer")
        each = Annotated[each, Strict(False)]  # which accepts a list, but its values are strict
        return one_or_each(one, each, _CONFIG).__get_pydantic_core_schema__(source, handler)


_MARKER = _Marker()

PerLayer = Annotated[T | tuple[T, ...], _MARKER]
"""An option of a kind that is one value for all layers, or a tuple with one value for each layer.

```python
class MyOptions(StackOptions):
    dt: PerLayer[Annotated[float, Field(gt=0)]] = 0.1
    "Step size; one number, or one for each layer."
```

A spec accepts `dt=0.1` and, with `num_layers=2`, `dt=(0.1, 0.2)`; creating one fails if the tuple has another length.
`CellStack` passes the constructor of each cell the value of its layer, a `float` here. The default is one value. `T` is
not a tuple, and constraints stand inside the brackets.
"""


def per_layer_fields(options: type) -> list[str]:
    """Return the names of the fields of an options class that are `PerLayer`."""
    fields: Mapping[str, Any] = options.__pydantic_fields__  # type: ignore[attr-defined]  # a pydantic dataclass
    return [name for name, field in fields.items() if _MARKER in field.metadata]


def values_of_layer(values: Mapping[str, Any], options: type, layer: int) -> dict[str, Any]:
    """Return values of fields of an options class, with that of one layer for each field that is `PerLayer`.

    Args:
        values: values of some of the fields.
        options: the class.
        layer: the layer, counted from zero.
    """
    of_layer = {name: values[name][layer] for name in per_layer_fields(options) if isinstance(values.get(name), tuple)}
    return {**values, **of_layer}


def require_valid_declarations(options: Any) -> None:
    """Raise TypeError if a class of options, given its defaults, declares a field that is `PerLayer` in another way."""
    name = type(options).__name__
    per_layer = per_layer_fields(type(options))
    for field, info in type(options).__pydantic_fields__.items():
        if _contains_marker(info.annotation):
            raise TypeError(f"{name}.{field} must be PerLayer as a whole, as in `PerLayer[float | None]`")
        if field in per_layer and isinstance(getattr(options, field), tuple):
            raise TypeError(f"The default of {name}.{field} must be one value, since a spec may have any num_layers")
        if field in per_layer and any(each is not _MARKER for each in info.metadata):
            raise TypeError(
                f"The constraints of {name}.{field} must be inside of PerLayer, as in "
                "`PerLayer[Annotated[float, Field(gt=0)]]`"
            )


def _accepts_tuples(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, list | tuple):
        return True
    return any(_accepts_tuples(part) for part in get_args(annotation) if isinstance(part, type) or get_args(part))


def _contains_marker(annotation: Any) -> bool:
    return (
        annotation is _MARKER
        or any(_contains_marker(part) for part in get_args(annotation))
        or (_MARKER in getattr(annotation, "__metadata__", ()))
    )
