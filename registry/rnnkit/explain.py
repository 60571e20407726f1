"""The making of messages: what was meant, what was said, what came instead."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

_LONGEST = 200


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'lstm'?"`, or an empty string where nothing is close; upper and lower case count the same."""
    originals = {each.lower(): each for each in known}
    close = difflib.get_close_matches(word.lower(), originals, n=1)
    return f" Did you mean {originals[close[0]]!r}?" if close else ""


def words(value: object) -> str:
    """A value for a message: its `repr`, cut short, whatever its `repr` does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # a message must come about all the same
        text = f"<{type(value).__name__} object>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def said(error: BaseException) -> str:
    """An exception for a message: its class and what it says, if it says anything."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # a message must come about all the same
        text = ""
    text = " ".join(text.split()).removesuffix(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def listed(names: Sequence[str]) -> str:
    """`'a', 'b' and 'c'`, or `none`."""
    quoted = [repr(name) for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]])) or "none"


def explain_unknown_fields(error: ValidationError, explain: Callable[[str], str]) -> ValidationError:
    """The same error, in which `explain(name)` is the message of each field that does not exist."""
    lines = [_line(details, explain) for details in error.errors(include_url=False)]
    return ValidationError.from_exception_data(error.title, lines)


def refused(kind_of_problem: str, message: str) -> PydanticCustomError:
    """A problem with a message of our own; pydantic would replace `{name}` in it only if it had a context."""
    # pydantic-core asks for literals, which serves translation and binds nobody at run time
    return PydanticCustomError(kind_of_problem, message)  # pyright: ignore[reportArgumentType]


def _line(details: ErrorDetails, explain: Callable[[str], str]) -> InitErrorDetails:
    name = details["loc"][-1] if details["loc"] else ""
    unknown = details["type"] == "unexpected_keyword_argument"
    message = explain(str(name)) if unknown else details["msg"].removeprefix("Value error, ")
    problem = refused("unknown_field" if unknown else details["type"], message)
    return InitErrorDetails(type=problem, loc=details["loc"], input=details["input"])
