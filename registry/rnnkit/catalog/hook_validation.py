"""Makes the pluggy manager of one plugin, with its hooks validated and guarded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pluggy

from rnnkit import hookspecs
from rnnkit._messages import did_you_mean
from rnnkit.errors import PluginError

Fail = Callable[[str, str], PluginError]
"""Makes the error of a cause and a fix."""

Guard = Callable[[str], AbstractContextManager[None]]
"""Makes the context in which a hook of a name runs, which converts what the hook raises."""


def validated_manager(owner: object, fail: Fail, guard: Guard) -> pluggy.PluginManager:
    """The manager of one plugin alone, so that its mistakes cannot affect another's hooks or their order.

    Its hooks run inside `guard`, and must return None.

    Raises:
        PluginError: from `fail`: a hook does not exist, or has arguments that are not in its specification.
    """
    manager = pluggy.PluginManager("rnnkit")
    manager.add_hookspecs(hookspecs)
    marked = _marked_hooks(manager, owner)
    hooks = {name: options.get("specname") or name for name, options in marked.items()}
    for name, options in marked.items():
        _check_exists(manager, hooks[name], options, fail)
    guards = {f"_guard_{hook}": _guard_hook(hook, fail, guard) for hook in set(hooks.values())}
    try:
        # not the owner itself, whose `__eq__` pluggy would call
        manager.register(SimpleNamespace(**{name: getattr(owner, name) for name in marked}, **guards))
    except pluggy.PluginValidationError as error:
        raise _signature_error(manager, owner, marked, fail) from error
    return manager


def implements(manager: pluggy.PluginManager, hook: str) -> bool:
    """True if the plugin of a manager has a hook."""
    return bool(getattr(manager.hook, hook).get_hookimpls())


def _guard_hook(hook: str, fail: Fail, guard: Guard) -> object:
    """A wrapper, in pluggy's terms, around all else that implements a hook."""

    @hookspecs.hookimpl(wrapper=True, tryfirst=True, optionalhook=True, specname=hook)
    def guarded() -> Generator[None, list[Any], list[Any]]:
        with guard(f"its hook `{hook}`"):
            results = yield
        if results:
            result = results[0] if isinstance(results, list) else results  # of a wrapper
            cause = f"its hook `{hook}` returned a {type(result).__name__}"
            raise fail(cause, "A hook of rnnkit returns nothing")
        return results

    return guarded


def _specifications(manager: pluggy.PluginManager) -> dict[str, tuple[str, ...]]:
    """The hooks of rnnkit and their arguments."""
    return {name: caller.spec.argnames for name, caller in vars(manager.hook).items() if caller.spec is not None}


def _marked_hooks(manager: pluggy.PluginManager, owner: object) -> dict[str, Mapping[str, Any]]:
    """The attributes that are marked with `@hookimpl`, whether such a hook exists or not."""
    marks = {name: manager.parse_hookimpl_opts(owner, name) for name in dir(owner)}
    return {name: options for name, options in marks.items() if options is not None}


def _check_exists(manager: pluggy.PluginManager, hook: str, options: Mapping[str, Any], fail: Fail) -> None:
    known = _specifications(manager)
    if hook not in known and not options.get("optionalhook"):
        names = ", ".join(f"`{name}`" for name in sorted(known))
        raise fail(
            f"it marks {hook!r}, which is not a hook of rnnkit",
            f"{did_you_mean(hook, known)} The hooks are {names}".strip(),
        )


def _signature_error(
    manager: pluggy.PluginManager, owner: object, marked: Mapping[str, Mapping[str, Any]], fail: Fail
) -> PluginError:
    """The error of the first hook whose arguments are not those of its specification."""
    for name, options in marked.items():
        hook = options.get("specname") or name
        signature, expected = inspect.signature(getattr(owner, name)), _specifications(manager).get(hook, ())
        if not set(expected).issuperset(signature.parameters):
            return fail(f"its hook is `{name}{signature}`", f"Write `def {hook}({', '.join(expected)}):`")
    return fail("its hook is a wrapper that does not yield", "Write a plain function")
