"""From names of tasks to tasks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import fields

from rnnkit._messages import did_you_mean, join_quoted
from rnnkit.catalog import Candidate, current_catalog, list_tasks
from rnnkit.compare.task import Task
from rnnkit.errors import CompareError

_CALL = re.compile(r"(?P<name>[^\s()]+)(?:\((?P<arguments>.*)\))?")


def find_tasks(names: Iterable[Task | str]) -> list[Task]:
    """Return tasks by their names; a task is itself.

    Args:
        names: a name such as `adding`, with settings such as `adding(length=200)`, a pattern such as `digits*`, or
            `all`, which leaves out the tasks whose data is not installed.

    Raises:
        CompareError: a name stands for no task, or its settings are not valid.
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: as for kinds.
    """
    return [task for name in names for task in ([name] if isinstance(name, Task) else _named(name))]


def candidates_of(task: Task) -> list[Candidate]:
    """Return who provides a task; empty for one that was not registered."""
    return [
        candidate
        for name in list_tasks(task.name)
        if (candidate := current_catalog().tasks.resolve(name).chosen) and _class_of(name) is type(task)
    ]


def _named(text: str) -> list[Task]:
    if text == "all":
        return [task for name in list_tasks() if not (task := _class_of(name)()).missing()]
    if any(sign in text for sign in "*?["):
        found = list_tasks(text)
        if not found:
            raise CompareError(f"No task matches {text!r}: the tasks are {join_quoted(list_tasks())}")
        return [_class_of(name)() for name in found]
    match = _CALL.fullmatch(text.strip())
    if match is None:
        raise CompareError(f"{text!r} is not the name of a task: write adding, or adding(length=200)")
    return [_with_settings(_class_of(match["name"]), match["arguments"] or "")]


def _class_of(name: str) -> type[Task]:
    task: type[Task] = current_catalog().tasks.get(name)
    return task


def _with_settings(task: type[Task], arguments: str) -> Task:
    known = [each.name for each in fields(task)]
    try:
        call = ast.parse(f"task({arguments})", mode="eval").body
        assert isinstance(call, ast.Call)
        positional = zip(known, map(ast.literal_eval, call.args), strict=False)
        named = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise CompareError(f"{arguments!r} are no settings of task {task.name!r}: write them as length=200") from error
    for name in named:
        if name not in known:
            raise CompareError(
                f"The task {task.name!r} has no setting {name!r}.{did_you_mean(name, known)} "
                f"Its settings are {join_quoted(known)}"
            )
    return task(**dict(positional), **named)
