"""Lines of pydantic's `ValidationError` with messages of our own."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError


def explain_unknown_fields(error: ValidationError, explain: Callable[[str], str]) -> ValidationError:
    """The same error, in which `explain(name)` is the message of each field that does not exist."""
    lines = [_line(details, explain) for details in error.errors(include_url=False)]
    return ValidationError.from_exception_data(error.title, lines)


def pydantic_error(kind_of_problem: str, message: str) -> PydanticCustomError:
    """A problem with a message of our own; pydantic would replace `{name}` in it only if it had a context."""
    # pydantic-core declares literals, for translation; at run time any string is accepted
    return PydanticCustomError(kind_of_problem, message)  # pyright: ignore[reportArgumentType]


def _line(details: ErrorDetails, explain: Callable[[str], str]) -> InitErrorDetails:
    name = details["loc"][-1] if details["loc"] else ""
    unknown = details["type"] == "unexpected_keyword_argument"
    message = explain(str(name)) if unknown else details["msg"].removeprefix("Value error, ")
    problem = pydantic_error("unknown_field" if unknown else details["type"], message)
    return InitErrorDetails(type=problem, loc=details["loc"], input=details["input"])
