"""Hooks that a user registers, without a plugin."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import pluggy

from rnnkit.catalog import current_catalog
from rnnkit.errors import PluginError
from rnnkit.explain import words
from rnnkit.hooked import implements, manager_of
from rnnkit.registration import Registration

HOOK = "after_build"


class RegisteredHooks(Registration):
    """The hooks of an object, which are called until `remove` is, or until the `with` block of this object ends."""

    def __init__(self, owner: object) -> None:
        self.owner = owner
        """What has the hooks."""
        self._manager = _checked_manager(owner)
        self._catalog = current_catalog()
        if not self._catalog.add_hooks(self):
            raise _refusal(owner, "it is registered already", "Register it once, or remove it first")

    def after_build(self, spec: Any, model: Any) -> None:
        """Call the hook; what it raises passes, with a note that says whose it is."""
        try:
            results = self._manager.hook.after_build(spec=spec, model=model)
        except Exception as error:
            error.add_note(f"in the hook `{HOOK}` of {words(self.owner)}, which register_hooks registered")
            raise
        if results:
            cause = f"its hook `{HOOK}` returned a {type(results[0]).__name__}"
            raise _refusal(self.owner, cause, "Change the model in place, and return nothing")

    def remove(self) -> None:
        """Have the hooks called no more; nothing, if that is so already."""
        self._catalog.remove_hooks(self)


def register_hooks(owner: object) -> RegisteredHooks:
    """Have the hooks of an object called from now on, after those of the plugins and of objects registered before.

    ```python
    class Orthogonal:
        @hookimpl
        def after_build(self, spec, model): ...

    with register_hooks(Orthogonal()):
        model = build_model(spec)
    ```

    Args:
        owner: an object, or a module, with the hook `after_build`, marked with `@hookimpl`.

    Returns:
        A context manager that undoes it, as its method `remove` does.

    Raises:
        PluginError: it has no such hook, or one that rnnkit does not know; it is a class or a function; or it is
            registered already.
    """
    return RegisteredHooks(owner)


def _checked_manager(owner: object) -> pluggy.PluginManager:
    if isinstance(owner, type):
        raise _refusal(owner, "it is a class", f"Register an object of it: register_hooks({owner.__name__}())")
    if inspect.isroutine(owner):
        raise _refusal(owner, "it is a function", "Make it a method of a class, and register an object of that class")
    manager = manager_of(owner, partial(_refusal, owner))
    if implements(manager, "register_kinds"):
        raise _refusal(owner, "it has the hook `register_kinds`, which is for plugins", "Use rnnkit.register_kind")
    if not implements(manager, HOOK):
        raise _hookless(owner)
    return manager


def _hookless(owner: object) -> PluginError:
    if callable(getattr(owner, HOOK, None)):
        return _refusal(owner, f"its function `{HOOK}` is not marked", "Put `@rnnkit.hookimpl` on it")
    return _refusal(owner, f"it has no hook `{HOOK}`", "Write one, marked with `@rnnkit.hookimpl`")


def _refusal(owner: object, cause: str, way_out: str) -> PluginError:
    error = PluginError(f"The hooks of {words(owner)} cannot be used: {cause}. {way_out}.")
    error.cause = cause
    return error
