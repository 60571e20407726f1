"""The hook by which rnnkit finds the executor."""

from collections.abc import Callable

from rnnkit import hookimpl
from rnnkit.plan import Executor
from rnnkit_kernels.executor import MachineExecutor


@hookimpl
def register_executors(register: Callable[[type[Executor]], None]) -> None:
    register(MachineExecutor)
