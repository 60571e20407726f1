"""Makes the pluggy manager of one plugin, with its hooks validated and guarded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
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
    for name, options in marked.items():
        _check_hook(manager, getattr(owner, name), options.get("specname") or name, options, fail)
    try:
        # not the owner itself, whose `__eq__` pluggy would call
        manager.register(SimpleNamespace(**{name: getattr(owner, name) for name in marked}))
    except pluggy.PluginValidationError as error:
        raise fail("its hook is a wrapper that does not yield", "Write a plain function") from error
    manager.add_hookcall_monitoring(lambda *_: None, partial(_guard_call, fail, guard))
    return manager


def implements(manager: pluggy.PluginManager, hook: str) -> bool:
    """True if the plugin of a manager has a hook."""
    return bool(getattr(manager.hook, hook).get_hookimpls())


def require_hook(manager: pluggy.PluginManager, owner: object, hook: str, fail: Fail, *, subject: str = "it") -> None:
    """Raise the error from `fail` unless the plugin of a manager has a hook."""
    if implements(manager, hook):
        return
    if callable(getattr(owner, hook, None)):
        raise fail(f"its function `{hook}` is not marked", "Put `@rnnkit.hookimpl` on it")
    raise fail(f"{subject} has no hook `{hook}`", "Write one, marked with `@rnnkit.hookimpl`")


def _guard_call(fail: Fail, guard: Guard, outcome: pluggy.Result[Any], hook: str, *_call: object) -> None:
    """Replace the outcome of a call by the error of its plugin, if it raised or returned something."""
    try:
        with guard(f"its hook `{hook}`"):
            results = outcome.get_result()
    except BaseException as error:  # noqa: BLE001  # pluggy raises it again
        outcome.force_exception(error)
        return
    if results:
        result = results[0] if isinstance(results, list) else results  # of a wrapper
        cause = f"its hook `{hook}` returned a {type(result).__name__}"
        outcome.force_exception(fail(cause, "A hook of rnnkit returns nothing"))


def _specifications(manager: pluggy.PluginManager) -> dict[str, tuple[str, ...]]:
    """The hooks of rnnkit and their arguments."""
    return {name: caller.spec.argnames for name, caller in vars(manager.hook).items() if caller.spec is not None}


def _marked_hooks(manager: pluggy.PluginManager, owner: object) -> dict[str, Mapping[str, Any]]:
    """The attributes that are marked with `@hookimpl`, whether such a hook exists or not."""
    marks = {name: manager.parse_hookimpl_opts(owner, name) for name in dir(owner)}
    return {name: options for name, options in marks.items() if options is not None}


def _check_hook(
    manager: pluggy.PluginManager, hook: Callable[..., object], specname: str, options: Mapping[str, Any], fail: Fail
) -> None:
    """Raise unless a marked hook exists, and takes arguments of its specification as pluggy passes them."""
    known = _specifications(manager)
    if specname in known:
        signature, expected = inspect.signature(hook), known[specname]
        if not all(_can_be_passed(parameter, expected) for parameter in signature.parameters.values()):
            cause = f"its hook is `{hook.__name__}{signature}`"
            raise fail(cause, f"Write `def {specname}({', '.join(expected)}):`")
    elif not options.get("optionalhook"):
        names = ", ".join(f"`{name}`" for name in sorted(known))
        cause = f"it marks {specname!r}, which is not a hook of rnnkit"
        raise fail(cause, f"{did_you_mean(specname, known)} The hooks are {names}".strip())


def _can_be_passed(parameter: inspect.Parameter, expected: tuple[str, ...]) -> bool:
    """True if pluggy passes the argument, by position; or if it is the hook's own, with a default."""
    if parameter.default is not parameter.empty:
        return parameter.name not in expected  # pluggy never passes it
    by_position = (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    return parameter.kind in by_position and parameter.name in expected
