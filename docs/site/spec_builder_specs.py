"""Specs by the paths of their fields, and what is said of those that are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from rnnkit import RecurrentSpec

SIZES = {"input_size": 5, "hidden_size": 11}
OPTION = "options."


def spec_of(kind: str, values: Mapping[str, Any]) -> RecurrentSpec[Any]:
    """The spec in which fields have values, by paths such as `num_layers` and `options.residual`.

    Raises:
        ValidationError: there is no such spec.
    """
    values = SIZES | dict(values)
    fields = {path: value for path, value in values.items() if not path.startswith(OPTION)}
    options = {path.removeprefix(OPTION): value for path, value in values.items() if path.startswith(OPTION)}
    return RecurrentSpec.from_dict({"kind": kind, **fields, "options": options})


def is_valid(kind: str, values: Mapping[str, Any]) -> bool:
    """Whether there is such a spec."""
    return not problems_of(kind, values)


def problems_of(kind: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the message about each invalid field, by its path."""
    try:
        spec_of(kind, values)
    except ValidationError as error:
        return {_path(line["loc"]): line["msg"] for line in error.errors()}
    return {}


def message_about(path: str, kind: str, values: Mapping[str, Any]) -> str | None:
    """Return the message about one field; None if it is valid, or the kind has no such field."""
    message = problems_of(kind, values).get(path)
    return None if message is None or "has no option" in message else message


def _path(location: tuple[int | str, ...]) -> str:
    """The path of a field, without the place in a list."""
    return ".".join(str(part) for part in location if isinstance(part, str))
