"""The installed executors, in the order in which they are asked."""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from rnnkit._messages import describe_exception, join_quoted
from rnnkit.catalog import current_catalog
from rnnkit.errors import PluginError

if TYPE_CHECKING:
    from rnnkit.plan import Executor

VARIABLE = "RNNKIT_EXECUTORS"
"""The environment variable with the names of the executors to use, in order, separated by commas; empty: none."""


class _Installed(NamedTuple):
    version: object
    names: str | None
    executors: tuple[Executor, ...]


_installed = _Installed(None, None, ())


def installed_executors() -> tuple[Executor, ...]:
    """Return the executors in the order in which they are asked: that of `RNNKIT_EXECUTORS`, or else of their names.

    Warns:
        RuntimeWarning: a plugin of an executor is broken.

    Raises:
        PluginError: `RNNKIT_EXECUTORS` names an executor that is not installed or broken.
    """
    global _installed  # noqa: PLW0603  # a cache, replaced as a whole
    names = os.environ.get(VARIABLE)
    if _installed.version is not current_catalog().executors.version or _installed.names != names:
        executors = _by_names(names) if names is not None else _all()
        _installed = _Installed(current_catalog().executors.version, names, executors)
    return _installed.executors


def executor_instance(name: str) -> Executor:
    """Return the instance of an installed executor, which is created once.

    Raises:
        LookupError: no executor has this name.
        PluginError: its plugin is broken, or it cannot be created.
    """
    from rnnkit.plan import Executor  # only models that could use a plan pay for the import

    cls = current_catalog().executors.get(name)
    if not (isinstance(cls, type) and issubclass(cls, Executor)):
        raise PluginError(f"The executor {name!r} must be a subclass of rnnkit.plan.Executor, but is {cls!r}.")
    try:
        return _instance(cls)
    except Exception as error:  # a plugin may raise anything
        raise PluginError(
            f"The executor {name!r} cannot be created: {describe_exception(error)}. Make "
            f"`{cls.__qualname__}()` work everywhere; return what an environment lacks from `problem` and `refuses`."
        ) from error


def _by_names(names: str) -> tuple[Executor, ...]:
    known = [name.strip() for name in names.split(",") if name.strip()]
    try:
        return tuple(map(executor_instance, known))
    except (LookupError, PluginError) as error:
        available = join_quoted(current_catalog().executors.names()) or "none"
        raise PluginError(f"{VARIABLE}={names!r} cannot be used: {error} Installed executors: {available}.") from error


def _all() -> tuple[Executor, ...]:
    executors = []
    for name in current_catalog().executors.names():
        try:
            executors.append(executor_instance(name))
        except PluginError as error:
            warnings.warn(f"{error} Cells run without it.", RuntimeWarning, stacklevel=2)
    return tuple(executors)


@cache
def _instance(cls: type[Executor]) -> Executor:
    return cls()
