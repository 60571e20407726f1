"""From names of tasks to tasks."""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any

from rnnkit._messages import describe_exception, did_you_mean, join_quoted, short_repr, shorten
from rnnkit.catalog import Candidate, current_catalog, list_tasks
from rnnkit.compare.task import Task
from rnnkit.errors import CompareError, PluginError

_CALL = re.compile(r"(?P<name>[^\s()]+)(?:\((?P<arguments>.*)\))?")


def find_tasks(names: Iterable[Task | str]) -> list[Task]:
    """Return tasks by their names, each task once; a task is itself.

    Args:
        names: a name such as `adding`, with settings such as `adding(length=200)`, a pattern such as `digits*`, or
            `all`, which leaves out the tasks whose data is not installed. Patterns leave out tasks whose plugin is
            broken, with a warning.

    Raises:
        CompareError: no task has this name, its settings are not valid, or its data is not installed.
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: as for kinds.
    """
    if isinstance(names, Task | str):
        raise CompareError(f"tasks={names if isinstance(names, Task) else repr(names)} is a single task: write a list")
    if not isinstance(names, Iterable):
        raise CompareError(f"tasks={short_repr(names)} is not a list of tasks")
    found = {(task.name, repr(task.settings())): task for name in names for task in _tasks_of(name)}
    for task in found.values():
        if missing := task.missing():
            raise CompareError(f"Task {task.name!r} needs {missing}")
    return [*found.values()]


def candidates_of(task: Task) -> list[Candidate]:
    """Return who provides a task; empty for one that was not registered."""
    return [
        candidate
        for name in list_tasks(task.name)
        if (candidate := current_catalog().tasks.resolve(name).chosen) and _class_of(name) is type(task)
    ]


def _tasks_of(name: Task | str) -> list[Task]:
    if isinstance(name, Task):
        return [name]
    if isinstance(name, type) and issubclass(name, Task):
        raise CompareError(
            f"tasks has the class {name.__name__}: write the task, such as tasks.{name.name}(), or its name "
            f"{name.name!r}"
        )
    if not isinstance(name, str):
        raise CompareError(f"tasks has {short_repr(name)}, which is neither a task nor a name")
    return _named(name)


def _named(text: str) -> list[Task]:
    if text == "all":
        return [task for task in _by_default(list_tasks()) if not task.missing()]
    if any(sign in text for sign in "*?["):
        if found := list_tasks(text):
            return _by_default(found)
        raise CompareError(f"No task matches {short_repr(text)}: the tasks are {join_quoted(list_tasks())}")
    match = _CALL.fullmatch(text.strip())
    if match is None:
        raise CompareError(f"{short_repr(text)} is not the name of a task: write adding, or adding(length=200)")
    return [_with_settings(_class_of(match["name"]), match["arguments"] or "")]


def _by_default(names: Sequence[str]) -> list[Task]:
    """Return tasks that a pattern names, without those that cannot be made, unless that is all of them."""
    found, problems = list[Task](), dict[str, Exception]()
    for name in names:
        try:
            found.append(_with_settings(_class_of(name), ""))
        except Exception as error:  # noqa: BLE001  # plugins raise anything
            problems[name] = error
    if problems and not found:
        raise next(iter(problems.values()))
    for name, problem in problems.items():
        warnings.warn(f"Task {name!r} is left out: {describe_exception(problem)}", stacklevel=2)
    return found


def _class_of(name: str) -> type[Task]:
    task = current_catalog().tasks.get(name)
    if not (isinstance(task, type) and issubclass(task, Task)) or inspect.isabstract(task):
        raise PluginError(
            f"The task {name!r} must be a subclass of rnnkit.compare.Task with all its methods, but is "
            f"{short_repr(task)}"
        )
    return task


def _with_settings(task: type[Task], text: str) -> Task:
    """Return a task with the settings of a text such as `200` or `length=200`."""
    positional, named = _arguments(task, text)
    known = [each.name for each in fields(task)]
    for name in named:
        if name not in known:
            raise CompareError(
                f"Task {task.name!r} has no setting {short_repr(name)}.{did_you_mean(name, known)} "
                f"Its settings are {join_quoted(known)}"
            )
    try:
        inspect.signature(task).bind(*positional, **named)
    except TypeError as error:
        raise CompareError(
            f"Task {task.name!r} does not accept the settings ({shorten(text, 200)}): {error}"
        ) from error
    return task(*positional, **named)


def _arguments(task: type[Task], text: str) -> tuple[list[Any], dict[str, Any]]:
    with suppress(SyntaxError, ValueError):
        call = ast.parse(f"task({text})", mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):  # not `task(1)(2)`
            named = {str(each.arg): _value(each.value) for each in call.keywords}
            if len(named) == len(call.keywords):  # none of them twice
                return [_value(each) for each in call.args], named
    raise CompareError(f"({shorten(text, 200)}) are not valid settings of task {task.name!r}: write them as length=200")


def _value(expression: ast.expr) -> Any:
    """Return the value of a literal; a word without quotes stands for itself, as in `digits(pixels)`."""
    return expression.id if isinstance(expression, ast.Name) else ast.literal_eval(expression)
