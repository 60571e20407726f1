"""The contract between rnnkit and its plugins: one hook."""

from collections.abc import Callable

import pluggy

from rnnkit.kind import Kind

hookspec = pluggy.HookspecMarker("rnnkit")
hookimpl = pluggy.HookimplMarker("rnnkit")


@hookspec
def register_kinds(register: Callable[[Kind], None]) -> None:
    """Give the catalog the kinds of this plugin.

    Called for this plugin alone, the first time that one of its kinds is asked for. (Should two threads be first,
    it may be called twice; the first result counts.) Call `register(kind)` once for each kind; nothing counts until
    the hook has returned, so a hook that raises has registered nothing. A kind's name must be the name of an entry
    point that leads here. The hook returns None.
    """
