"""Fields that accept a number or a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError


def number_or_word(number: Any, word: Any) -> WrapValidator:
    """Return the validator of a field that accepts a number or a word, which reports an invalid value once.

    A plain union would report one invalid value with an error for each of its branches.

    Args:
        number: type of the number.
        word: the `Literal` of the words.
    """
    of_number: TypeAdapter[Any] = TypeAdapter(number)
    of_word: TypeAdapter[Any] = TypeAdapter(word)

    def validated(value: Any, _union: Callable[[Any], Any]) -> Any:
        try:
            return (of_word if isinstance(value, str) else of_number).validate_python(value)
        except ValidationError as error:
            if error.errors()[0]["type"] not in {"float_type", "literal_error"}:  # a number that is out of range
                raise
            words = " or ".join(map(repr, get_args(word)))
            message = "Input should be a valid number or {words}"
            raise PydanticCustomError("number_or_word", message, {"words": words}) from None

    return WrapValidator(validated)
