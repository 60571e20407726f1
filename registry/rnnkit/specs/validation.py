"""Lines of pydantic's `ValidationError` with messages of our own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from rnnkit._messages import MAX_LISTED, counted, key_text


def explain_unknown_fields(error: ValidationError, explain: Callable[[str], str]) -> list[InitErrorDetails]:
    """The problems of an error; `explain(name)` is the message of each field that does not exist."""
    return [_line(details, explain) for details in error.errors(include_url=False)]


def first_problems(problems: Sequence[InitErrorDetails]) -> list[InitErrorDetails]:
    """The first twenty problems, with the texts of their keys, and a line with the number of the others."""
    left = len(problems) - MAX_LISTED
    more = pydantic_error("more_problems", f"and {counted(left, 'more problem')}")
    last = [InitErrorDetails(type=more, input=left)] if left > 0 else []
    return [*map(_with_key_texts, problems[:MAX_LISTED]), *last]


def _with_key_texts(problem: InitErrorDetails) -> InitErrorDetails:
    loc = tuple(key_text(key) if isinstance(key, str) else key for key in problem.get("loc", ()))
    return InitErrorDetails(type=problem["type"], loc=loc, input=problem["input"])


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
