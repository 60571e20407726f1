"""A field that accepts one value, or a list or tuple of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationInfo, WrapValidator
from pydantic_core import to_json


def one_or_each(one: Any, each: Any, config: ConfigDict | None = None) -> WrapValidator:
    """Return the validator of a field that accepts one value, or a list or tuple of values, stored as a tuple.

    A plain union would report one invalid value with an error for each of its branches.

    Args:
        one: type of one value.
        each: type of the tuple.
        config: how pydantic validates both; None: its defaults.
    """
    of_one: TypeAdapter[Any] = TypeAdapter(one, config=config)
    of_each: TypeAdapter[Any] = TypeAdapter(each, config=config)

    def validated(value: Any, _union: Callable[[Any], Any], info: ValidationInfo) -> Any:
        adapter = of_each if isinstance(value, list | tuple) else of_one
        if info.mode == "json":  # where strict types accept a string for a member of an enumeration
            return adapter.validate_json(to_json(value))
        return adapter.validate_python(value)

    return WrapValidator(validated)
