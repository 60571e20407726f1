"""The contract between rnnkit and its plugins: the hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from rnnkit.deprecation import KindAlias
    from rnnkit.kind import Kind
    from rnnkit.model import RecurrentModel
    from rnnkit.specs import RecurrentSpec

hookspec = pluggy.HookspecMarker("rnnkit")
hookimpl = pluggy.HookimplMarker("rnnkit")
"""Marks a function, or a method, as a hook, which its name says: `@hookimpl`, or `@hookimpl(specname="after_build")`.

Its arguments are those of the hook, or some of them, in any order.
"""


@hookspec
def register_kinds(register: Callable[[Kind | KindAlias], None]) -> None:
    """Give the catalog the kinds of this plugin.

    Called for this plugin alone, the first time that one of its kinds is asked for. (Should two threads be first,
    it may be called twice; the first result counts.) Call `register(kind)` once for each kind, and `register(alias)`
    for each old name of one; nothing counts until the hook has returned, so a hook that raises has registered nothing.
    The name of a kind, old ones included, must be the name of an entry point that leads here. The hook returns None.

    Args:
        register: takes a `Kind` or a `KindAlias`.
    """


@hookspec
def after_build(spec: RecurrentSpec[Any], model: RecurrentModel) -> None:
    """Change a model that has just been built, in place: other initial values, forward hooks, parametrizations.

    Called at the end of `build_model`, for the plugin that registered the kind of the spec and no other, then for the
    objects that the user gave to `register_hooks`, in the order in which they were registered. A kind that another
    plugin builds upon is not built by `build_model`, and its plugin is not called.

    The hook returns None. What a plugin's hook raises becomes a `PluginError`; what a user's raises passes, with a note
    that says whose it was.

    Models are built for other ends too, and the hook must bear that. On the `meta` device, to be measured or compared
    with a file, the parameters have no values. In `load_model` those of the file take the place of what the hook has
    set. What it changes about names and shapes of the tensors must follow from the spec alone, or files do not fit.

    Args:
        spec: what the model was built from; the same as `model.spec`.
        model: the whole model, backbone and readout, on its device and in its dtype.
    """
