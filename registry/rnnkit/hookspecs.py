"""The contract between rnnkit and its plugins: one hook."""

from collections.abc import Callable

import pluggy

from rnnkit.kind import Kind

hookspec = pluggy.HookspecMarker("rnnkit")
hookimpl = pluggy.HookimplMarker("rnnkit")


@hookspec
def register_kinds(register: Callable[[Kind], None]) -> None:
    """Give the catalog the kinds of this plugin.

    Called once per process, the first time that one of the plugin's kinds is asked for, and for this plugin
    alone. Call `register(kind)` for each kind; nothing counts until the hook has returned, so a hook that
    raises has registered nothing. A kind's name must be the name of an entry point that leads here. The
    hook returns None.
    """
