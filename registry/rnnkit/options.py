"""The options of a kind: the fields of a spec that only this kind has."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, WrapValidator
from pydantic.dataclasses import dataclass
from typing_extensions import dataclass_transform

# With its first schema pydantic looks for its own plugins in the entry points of all distributions. That raises if
# those of a single one cannot be read, but only once: here, so that no class of ours is in its way.
with suppress(Exception):
    TypeAdapter(int)

# strict: `True` and `2.0` are not taken for the integers 1 and 2. Files have no numbers that are not finite; if there
# is one all the same, it must not be written as null.
_CONFIG = ConfigDict(
    extra="forbid", strict=True, validate_default=True, allow_inf_nan=False, ser_json_inf_nan="constants"
)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Options:
    """Base class of every kind's options; used as it is by a kind that has none.

    A subclass becomes a frozen, keyword-only pydantic dataclass without a decorator. Its fields have defaults, so
    that `options={}` always means something, and hashable values, so that a spec has a hash; numbers are finite, so
    that every file can hold them:

    ```python
    class MyOptions(Options):
        order: Annotated[int, Field(ge=1)] = 2
        nonlinearity: Literal["tanh", "relu"] = "tanh"
    ```

    Raises:
        pydantic.ValidationError: a value of the wrong type or range, or a field that does not exist. Types
            are strict: no `True` or `2.0` for an integer.
        TypeError: a subclass breaks the rules above.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(cls, frozen=True, kw_only=True, config=_CONFIG)
        try:
            hash(cls())
        except (TypeError, ValidationError) as error:
            raise TypeError(
                f"Each field of {cls.__name__} needs a valid and hashable default (a tuple, not a list): {error}"
            ) from error


def one_or_each(one: Any, each: Any) -> WrapValidator:
    """The validator of a field that takes one value, or a list or tuple of them, which it keeps as a tuple.

    A union alone would answer one wrong value with a line for each of its branches.

    Args:
        one: the type of one value.
        each: that of a tuple of them.
    """
    of_one: TypeAdapter[Any] = TypeAdapter(one)
    of_each: TypeAdapter[Any] = TypeAdapter(each)

    def validated(value: Any, _union: Callable[[Any], Any]) -> Any:
        return (of_each if isinstance(value, list | tuple) else of_one).validate_python(value)

    return WrapValidator(validated)


def plain_defaults(cls: type[Options]) -> dict[str, Any]:
    """The defaults of a kind's options, as a file has them."""
    defaults: dict[str, Any] = TypeAdapter(cls).dump_python(cls(), mode="json")
    return defaults


def own_fields(options: Options, base: type[Options]) -> dict[str, Any]:
    """The fields that options have beyond those of a base class, with their values."""
    names = {field.name for field in fields(options)} - {field.name for field in fields(base)}
    return {name: getattr(options, name) for name in sorted(names)}
