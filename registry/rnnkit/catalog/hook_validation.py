"""Objects with hooks: which of them they have, and whether these are as the contract says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pluggy

from rnnkit import hookspecs
from rnnkit._messages import did_you_mean
from rnnkit.errors import PluginError

Refuse = Callable[[str, str], PluginError]
"""Makes the error of a cause and a way out."""

AfterBuild = Callable[[Any, Any], None]
"""Calls the hook `after_build` of one object with a spec and a model."""


def manager_of(owner: object, refuse: Refuse) -> pluggy.PluginManager:
    """A manager for one object alone: what it gets wrong cannot stay behind in another's, nor marks change the order.

    Raises:
        PluginError: what `refuse` makes of a hook that does not exist, or has arguments that it cannot have.
    """
    manager = pluggy.PluginManager("rnnkit")
    manager.add_hookspecs(hookspecs)
    marked = _marked(manager, owner)
    for name, options in marked.items():
        _check_exists(manager, options.get("specname") or name, options, refuse)
    try:
        manager.register(owner, name="owner")
    except pluggy.PluginValidationError as error:
        raise _misfit(manager, owner, marked, refuse) from error
    return manager


def implements(manager: pluggy.PluginManager, hook: str) -> bool:
    """Whether the object of a manager has a hook."""
    return bool(getattr(manager.hook, hook).get_hookimpls())


def hooks_of(manager: pluggy.PluginManager) -> dict[str, tuple[str, ...]]:
    """The hooks that there are, and their arguments."""
    return {name: caller.spec.argnames for name, caller in vars(manager.hook).items() if caller.spec is not None}


def _marked(manager: pluggy.PluginManager, owner: object) -> dict[str, Mapping[str, Any]]:
    """The marks of the attributes that are marked as hooks, known or not."""
    marks = {name: manager.parse_hookimpl_opts(owner, name) for name in dir(owner)}
    return {name: options for name, options in marks.items() if options is not None}


def _check_exists(manager: pluggy.PluginManager, hook: str, options: Mapping[str, Any], refuse: Refuse) -> None:
    known = hooks_of(manager)
    if hook not in known and not options.get("optionalhook"):
        names = " and ".join(f"`{name}`" for name in sorted(known))
        raise refuse(
            f"it marks {hook!r}, which is no hook of rnnkit",
            f"{did_you_mean(hook, known)} The hooks are {names}".strip(),
        )


def _misfit(
    manager: pluggy.PluginManager, owner: object, marked: Mapping[str, Mapping[str, Any]], refuse: Refuse
) -> PluginError:
    """What to say of the first hook whose arguments are not those of its contract."""
    for name, options in marked.items():
        hook = options.get("specname") or name
        given, right = inspect.signature(getattr(owner, name)), hooks_of(manager).get(hook, ())
        if not set(right).issuperset(given.parameters):
            return refuse(f"its hook is `{name}{given}`", f"Write `def {hook}({', '.join(right)}):`")
    return refuse("its hook is a wrapper that does not yield", "Write a plain function")
