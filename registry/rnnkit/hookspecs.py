"""The hooks: the contract between rnnkit and its plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from rnnkit.compare import Task
    from rnnkit.deprecation import KindAlias
    from rnnkit.kind import Kind
    from rnnkit.model import Readout, RecurrentModel
    from rnnkit.plan import Executor
    from rnnkit.specs import RecurrentSpec

hookspec = pluggy.HookspecMarker("rnnkit")
hookimpl = pluggy.HookimplMarker("rnnkit")
"""Marks a function or method as an implementation of the hook of its name: `@hookimpl`, or
`@hookimpl(specname="after_build")` for one with another name.

It takes the arguments of the hook, or some of them, in any order. Every hook returns None.
"""


@hookspec
def register_kinds(register: Callable[[Kind | KindAlias], None]) -> None:
    """Register the kinds of this plugin.

    Called for this plugin alone, the first time that one of its kinds is asked for. (If two threads are first, it may
    be called twice; the first result counts.) Call `register(kind)` once for each kind, and `register(alias)` for each
    old name of one. Nothing counts until the hook has returned: a hook that raises has registered nothing. Every name,
    old names included, must be the name of an entry point in the group `rnnkit` that leads to this plugin.

    Args:
        register: takes a `Kind` or a `KindAlias`.
    """


@hookspec
def register_readouts(register: Callable[[type[Readout]], None]) -> None:
    """Register the readouts of this plugin.

    Called for this plugin alone, the first time that a model with one of its readouts is built. Call
    `register(readout)` once for each class; its `name` must be the name of an entry point in the group
    `rnnkit.readouts` that leads to this plugin.

    Args:
        register: takes a subclass of `Readout`.
    """


@hookspec
def register_commands(register: Callable[[Any], None]) -> None:
    """Register subcommands of the command `rnnkit`.

    Called for this plugin alone, when one of its commands is run. Call `register(command)` once for each command; its
    `name` must be the name of an entry point in the group `rnnkit.commands` that leads to this plugin. `rnnkit --help`
    lists it without importing the plugin, with the summary of its distribution.

    Args:
        register: takes a `click.Command`.
    """


@hookspec
def register_executors(register: Callable[[type[Executor]], None]) -> None:
    """Register the executors of this plugin, which run the plan of a cell's step faster than the step loop.

    Called for this plugin alone, the first time that a cell runs. Call `register(executor)` once for each class; its
    `name` must be the name of an entry point in the group `rnnkit.executors` that leads to this plugin.

    Args:
        register: takes a subclass of `rnnkit.plan.Executor`.
    """


@hookspec
def register_tasks(register: Callable[[type[Task]], None]) -> None:
    """Register the tasks of this plugin, on which `rnnkit compare` trains kinds.

    Called for this plugin alone, the first time that one of its tasks is asked for. Call `register(task)` once for each
    class; its `name` must be the name of an entry point in the group `rnnkit.tasks` that leads to this plugin.

    Args:
        register: takes a subclass of `rnnkit.compare.Task`.
    """


@hookspec
def after_build(spec: RecurrentSpec[Any], model: RecurrentModel) -> None:
    """Change a model that has just been built, in place: other initial values, forward hooks, parametrizations.

    Called at the end of `build_model`: for the plugin that registered the kind of the spec and no other, then for the
    objects that the user gave to `register_hooks`, in the order in which they were registered. A kind that another
    plugin builds upon is not built by `build_model`, and its plugin is not called.

    An error in a plugin's hook becomes a `PluginError`; an error in a user's hook passes, with a note that names the
    object.

    Models are also built to be measured, on the `meta` device, where parameters have no values, and in `load_model`,
    where the values of the file replace those that the hook has set. Names and shapes of the tensors must therefore
    follow from the spec alone, or files do not fit.

    Args:
        spec: the spec that the model was built from; the same as `model.spec`.
        model: the whole model, backbone and readout, on its device and in its dtype.
    """
