"""The plugin of rnnkit's own tasks."""

from collections.abc import Callable

from rnnkit.compare.task import Task
from rnnkit.compare.tasks import TASKS
from rnnkit.hookspecs import hookimpl


@hookimpl
def register_tasks(register: Callable[[type[Task]], None]) -> None:
    for task in TASKS:
        register(task)
