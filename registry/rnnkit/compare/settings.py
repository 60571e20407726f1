"""Validate the settings of tasks, and the arguments of `compare`, by their annotations."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from rnnkit._messages import short_repr
from rnnkit.errors import CompareError
from rnnkit.options.plain_values import to_plain

if TYPE_CHECKING:
    from rnnkit.compare.task import Task


def check_settings(task: Task) -> None:
    """Validate the fields of a task, and convert numbers of NumPy to plain ones, so that files can hold them.

    Raises:
        CompareError: a field does not fit its annotation.
    """
    for name, annotation in _annotations(type(task)).items():
        value = getattr(task, name)
        try:
            checked = _validated(annotation, value)
        except ValidationError as error:
            raise CompareError(
                f"Task {task.name!r} does not accept {name}={short_repr(value)}: {_rule(error)}"
            ) from error
        object.__setattr__(task, name, checked)  # the dataclass is frozen


def check_argument(name: str, value: object, annotation: Any) -> Any:
    """Return an argument of `compare` as a plain value.

    Raises:
        CompareError: it does not fit its annotation.
    """
    try:
        return _validated(annotation, value)
    except ValidationError as error:
        raise CompareError(f"{name}={short_repr(value)} is not valid: {_rule(error)}") from error


def _validated(annotation: Any, value: object) -> Any:
    return TypeAdapter(annotation).validate_python(to_plain(value), strict=True)


def _rule(error: ValidationError) -> str:
    return error.errors()[0]["msg"]


@cache
def _annotations(task: type[Task]) -> dict[str, Any]:
    types = get_type_hints(task, include_extras=True)
    return {each.name: types[each.name] for each in fields(task)}
