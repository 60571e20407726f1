"""Validate the settings of tasks by their annotations."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from rnnkit._messages import short_repr
from rnnkit._plain_values import to_plain
from rnnkit.errors import CompareError

if TYPE_CHECKING:
    from rnnkit.compare.task import Task


def check_settings(task: Task) -> None:
    """Validate the fields of a task, and convert numbers of NumPy to plain ones, so that files can hold them.

    Raises:
        CompareError: a field does not fit its annotation.
    """
    for name, adapter in _adapters(type(task)).items():
        value = getattr(task, name)
        try:
            checked = adapter.validate_python(to_plain(value), strict=True)
        except ValidationError as error:
            rule = error.errors()[0]["msg"]
            raise CompareError(f"Task {task.name!r} does not accept {name}={short_repr(value)}: {rule}") from error
        object.__setattr__(task, name, checked)  # the dataclass is frozen


@cache
def _adapters(task: type[Task]) -> dict[str, TypeAdapter[Any]]:
    types = get_type_hints(task, include_extras=True)
    return {each.name: TypeAdapter(types[each.name]) for each in fields(task)}
