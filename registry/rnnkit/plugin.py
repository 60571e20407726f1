"""Loads one plugin: imports it, calls its hook alone, and takes its kinds, all of them or none.

Whatever goes wrong becomes a `PluginError` that names the plugin, the cause and the way out. A plugin may raise
anything, `SystemExit` included; only an interrupt from the keyboard is not its own doing.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import pluggy

from rnnkit import hookspecs
from rnnkit.discovery import Candidate, is_name
from rnnkit.errors import PluginError
from rnnkit.kind import Kind
from rnnkit.options import Options
from rnnkit.policy import BLOCK

HOOK = "register_kinds"
_TORCH_BACKENDS = "TORCH_DEVICE_BACKEND_AUTOLOAD"


def load_plugin(candidate: Candidate, promised: set[str]) -> list[Kind]:
    """The kinds that a plugin registers.

    Args:
        candidate: leads to the plugin.
        promised: the kinds of all the entry points that lead there.

    Raises:
        PluginError: it cannot be imported, or does not keep the contract.
    """
    manager = _manager(candidate, _imported(candidate))
    kinds = _registered(candidate, manager)
    names = [kind.name for kind in kinds]
    if candidate.kind not in names or not promised.issuperset(names):
        raise _broken(
            candidate,
            f"it has entry points for the kinds {sorted(promised)}, but registers {sorted(names)}",
            "Register one Kind for each entry point, under its name",
        )
    if len(set(names)) < len(names):
        raise _broken(candidate, f"it registers a kind twice: {sorted(names)}", "Register each once")
    return kinds


def import_torch_alone() -> None:
    """Import torch without the device back ends of third parties.

    `import torch` looks for them through the entry points of all distributions, and fails if those of a single one
    cannot be read. Called where that is so, and does nothing if torch has been imported already.
    """
    if "torch" in sys.modules:
        return
    before = os.environ.get(_TORCH_BACKENDS)
    os.environ[_TORCH_BACKENDS] = "0"
    try:
        import_module("torch")
    finally:
        del os.environ[_TORCH_BACKENDS]
        if before is not None:
            os.environ[_TORCH_BACKENDS] = before


def _imported(candidate: Candidate) -> Any:
    assert candidate.entry is not None  # noqa: S101  # a local kind has no plugin
    try:
        return candidate.entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _broken(candidate, f"importing it raised {error!r}", _way_out_of(error, candidate)) from error


def _manager(candidate: Candidate, plugin: Any) -> pluggy.PluginManager:
    """A manager of its own for each plugin: what one gets wrong cannot stay behind in another's."""
    manager = pluggy.PluginManager("rnnkit")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name=f"{candidate.distribution}:{candidate.value}")
        manager.check_pending()
    except Exception as error:
        cause = f"pluggy refuses it: {' '.join(str(error).split())}"
        raise _broken(candidate, cause, f"The one hook is `{HOOK}(register)`") from error
    if manager.get_hookcallers(plugin):
        return manager
    if callable(getattr(plugin, HOOK, None)):
        raise _broken(candidate, f"its function `{HOOK}` is not marked", "Put `@rnnkit.hookimpl` on it")
    raise _broken(candidate, f"it has no hook `{HOOK}`", "Write one, marked with `@rnnkit.hookimpl`")


def _registered(candidate: Candidate, manager: pluggy.PluginManager) -> list[Kind]:
    kinds: list[Kind] = []

    def register(kind: Kind) -> None:
        check_kind(candidate, kind)
        kinds.append(kind)

    try:
        results = manager.hook.register_kinds(register=register)
    except (PluginError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _broken(candidate, f"its hook `{HOOK}` raised {error!r}", "") from error
    if results:
        raise _broken(candidate, f"its hook `{HOOK}` returned {results[0]!r}", "Call register(kind); return nothing")
    return list(kinds)


def check_kind(candidate: Candidate, kind: object) -> None:
    """Raise `PluginError` unless a candidate's record is one that can be used."""
    if not isinstance(kind, Kind):
        raise _broken(candidate, f"it registers {kind!r}", "Register a rnnkit.Kind")
    if not is_name(kind.name):
        raise _broken(candidate, f"it names a kind {kind.name!r}", "Give a name without spaces and slashes")
    if not (isinstance(kind.options, type) and issubclass(kind.options, Options)):
        cause = f"the options of its kind {kind.name!r} are {kind.options!r}"
        raise _broken(candidate, cause, "Give a subclass of rnnkit.Options")
    if not callable(kind.builder):
        cause = f"the builder of its kind {kind.name!r} is {kind.builder!r}"
        raise _broken(candidate, cause, "Give a function or class that takes (spec, *, device, dtype)")


def _broken(candidate: Candidate, cause: str, way_out: str) -> PluginError:
    advice = f" {way_out}." if way_out else ""
    if candidate.entry is None:
        return PluginError(f"The local kind {candidate} cannot be registered: {cause}.{advice}")
    return PluginError(
        f"The plugin {candidate} is broken: {cause}.{advice} Only its own kinds are affected; to turn it off, set "
        f"{BLOCK}={candidate.distribution}."
    )


def _way_out_of(error: BaseException, candidate: Candidate) -> str:
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    if candidate.value.partition(":")[0].startswith(error.name):
        return f"Its own module is not there: install {candidate.distribution} again"
    return f"Install what provides the module {error.name!r}"
