"""Tells whether the code of a plugin has been loaded again since it was registered, as by `importlib.reload`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnkit._messages import join_names
from rnnkit.deprecation import warn_user

if TYPE_CHECKING:
    from rnnkit.catalog.discovery import Candidate


class Reference(NamedTuple):
    """A class or function that a plugin registered, and where it was found at that time."""

    module: str
    path: str
    value: Any

    def __str__(self) -> str:
        return f"{self.module}.{self.path}"

    def is_current(self) -> bool:
        """True if the same object is still there, or nothing is."""
        found = _find(self.module, self.path)
        return found is self.value or found is None


def references_of(entry_value: str, hook: str, records: Iterable[Any]) -> tuple[Reference, ...]:
    """Return references to the hook of a plugin, and to the classes and functions of its records.

    Args:
        entry_value: the value of its entry point, `module` or `module:object`.
        hook: the name of the hook.
        records: what the hook registered.
    """
    module, _, attribute = entry_value.partition("[")[0].strip().partition(":")
    path = f"{attribute}.{hook}".strip(".")
    parts = [part for record in records for part in _parts(record)]
    named = [(module, path, _find(module, path)), *((part.__module__, part.__qualname__, part) for part in parts)]
    # a function that was defined inside a function cannot be found
    return tuple(Reference(*each) for each in named if each[2] is not None and _find(*each[:2]) is each[2])


def warn_of_old_parts(candidate: Candidate, record: Any, outdated: Iterable[Reference]) -> None:
    """Warn if a plugin still registers an outdated class: only the module that defines the class was loaded again."""
    parts = _parts(record)
    old = [str(each) for each in outdated if any(part is each.value for part in parts)]
    if old:
        module = candidate.value.partition(":")[0]
        warn_user(
            f"The plugin {candidate} registers {join_names(old)} as defined before a module was reloaded: "
            f"reload {module} too, or restart Python",
            RuntimeWarning,
        )


def _parts(record: Any) -> list[Any]:
    """Return the classes and functions that a record holds; a readout is a class itself."""
    parts = [record, *(getattr(record, name, None) for name in ("builder", "cell", "options"))]
    return [part for part in parts if isinstance(part, type | FunctionType)]


def _find(module: str, path: str) -> Any:
    found: Any = sys.modules.get(module)
    try:
        for name in path.split("."):
            found = getattr(found, name, None)
    except Exception:  # noqa: BLE001  # code of the plugin, which may raise anything
        return None
    return getattr(found, "__func__", found)  # each access of a method makes another object
