"""Loads one plugin: imports it, calls its hook alone, and takes its kinds, all of them or none.

Whatever goes wrong becomes a `PluginError` that names the plugin, the cause and the way out. A plugin may raise
anything, `SystemExit` included; only an interrupt from the keyboard is not its own doing.
"""

from __future__ import annotations

import inspect
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pluggy

from rnnkit import hookspecs
from rnnkit.discovery import Candidate, is_name
from rnnkit.errors import PluginError
from rnnkit.explain import listed, said, words
from rnnkit.kind import Kind
from rnnkit.options import Options
from rnnkit.policy import BLOCK

HOOK = "register_kinds"
_REFERENCE = re.compile(r"[\w.]+(:[\w.]+)?\s*(\[.*\])?")  # `module` or `module:object`, and perhaps extras


class _Loading(threading.local):
    """What this thread is loading."""

    def __init__(self) -> None:
        self.candidates: list[Candidate] = []


_loading = _Loading()


def load_plugin(candidate: Candidate, promised: set[str]) -> list[Kind]:
    """The kinds that a plugin registers.

    Args:
        candidate: leads to the plugin.
        promised: the kinds of all the entry points that lead there.

    Raises:
        PluginError: it cannot be imported, or does not keep the contract.
    """
    if any(each.value == candidate.value for each in _loading.candidates):
        raise broken(candidate, "it asks for its own kind while it is being loaded", "Ask later, inside a function")
    _loading.candidates.append(candidate)
    try:
        kinds = _registered(candidate, _manager(candidate, _imported(candidate)))
    finally:
        _loading.candidates.pop()
    _check_names(candidate, [kind.name for kind in kinds], promised)
    return kinds


def check_kind(candidate: Candidate, kind: object) -> None:
    """Raise `PluginError` unless a candidate's record is one that can be used."""
    if not isinstance(kind, Kind):
        raise broken(candidate, f"it registers {words(kind)}", "Register a rnnkit.Kind")
    if not is_name(kind.name):
        raise broken(candidate, f"it names a kind {words(kind.name)}", "Give a plain string without spaces and slashes")
    if not (isinstance(kind.options, type) and issubclass(kind.options, Options)):
        cause = f"the options of its kind {kind.name!r} are {words(kind.options)}"
        raise broken(candidate, cause, "Give a subclass of rnnkit.Options")
    if not callable(kind.builder):
        cause = f"the builder of its kind {kind.name!r} is {words(kind.builder)}"
        raise broken(candidate, cause, "Give a function or class that takes (spec, *, device, dtype)")


def broken(candidate: Candidate, cause: str, way_out: str = "") -> PluginError:
    """The error of a plugin, or of a local kind, that does not keep the contract."""
    way_out = way_out or "Ask its authors, or install another version"
    if candidate.entry is None:
        message = f"The local kind {candidate} cannot be registered: {cause}. {way_out}."
    else:
        message = (
            f"The plugin {candidate} is broken: {cause}. {way_out}. Only its own kinds are affected; to turn it off, "
            f"add {candidate.distribution} to {BLOCK}."
        )
    error = PluginError(message)
    error.cause = cause
    return error


@contextmanager
def _blamed(candidate: Candidate, doing: str) -> Iterator[None]:
    """Whatever is raised in the block is the plugin's, unless this very plugin has been blamed for it already."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, PluginError) and str(error).startswith(f"The plugin {candidate} is broken"):
            raise
        raise broken(candidate, f"{doing} raised {said(error)}", _way_out_of(error, candidate)) from error


def _imported(candidate: Candidate) -> Any:
    entry = candidate.entry
    if entry is None or not _REFERENCE.fullmatch(candidate.value):
        cause = f"its entry point leads to {candidate.value!r}, which is neither `module` nor `module:object`"
        raise broken(candidate, cause)
    with _blamed(candidate, "importing it"):
        return entry.load()


def _manager(candidate: Candidate, plugin: Any) -> pluggy.PluginManager:
    """A manager of its own for each plugin: what one gets wrong cannot stay behind in another's."""
    manager = pluggy.PluginManager("rnnkit")
    manager.add_hookspecs(hookspecs)
    with _blamed(candidate, "looking for its hook"):
        _check_hooks(candidate, plugin, _marked(manager, plugin))
        try:
            manager.register(plugin, name=f"{candidate.distribution}:{candidate.value}")
        except pluggy.PluginValidationError as error:
            hook = f"{HOOK}{inspect.signature(getattr(plugin, HOOK))}"
            raise broken(candidate, f"its hook is `{hook}`", f"Write `def {HOOK}(register):`") from error
    return manager


def _marked(manager: pluggy.PluginManager, plugin: Any) -> list[str]:
    """The names of the hooks that a plugin implements, known or not."""
    marked = {name: manager.parse_hookimpl_opts(plugin, name) for name in dir(plugin)}
    return [options.get("specname") or name for name, options in marked.items() if options is not None]


def _check_hooks(candidate: Candidate, plugin: Any, marked: list[str]) -> None:
    if isinstance(plugin, type):
        raise broken(candidate, "its entry point names a class", "Name a module, or an object of that class")
    unknown = [name for name in marked if name != HOOK]
    if unknown:
        raise broken(candidate, f"it marks {unknown[0]!r}, which is no hook of rnnkit", f"The one hook is `{HOOK}`")
    if marked:
        return
    if inspect.isroutine(plugin):
        raise broken(candidate, "its entry point names a function", "Name the module that it is in")
    if callable(getattr(plugin, HOOK, None)):
        raise broken(candidate, f"its function `{HOOK}` is not marked", "Put `@rnnkit.hookimpl` on it")
    what = "it" if isinstance(plugin, ModuleType) else words(plugin)
    raise broken(candidate, f"{what} has no hook `{HOOK}`", "Write one, marked with `@rnnkit.hookimpl`")


def _registered(candidate: Candidate, manager: pluggy.PluginManager) -> list[Kind]:
    kinds: list[Kind] = []

    def register(kind: Kind) -> None:
        check_kind(candidate, kind)
        kinds.append(kind)

    with _blamed(candidate, f"its hook `{HOOK}`"):
        results = manager.hook.register_kinds(register=register)
    if results:
        cause = f"its hook `{HOOK}` returned a {type(results[0]).__name__}"
        raise broken(candidate, cause, "Call register(kind), and return nothing")
    return kinds


def _check_names(candidate: Candidate, names: list[str], promised: set[str]) -> None:
    if candidate.kind not in names or not promised.issuperset(names):
        raise broken(
            candidate,
            f"it has entry points for {listed(sorted(promised))}, but registers {listed(sorted(names))}",
            "Register one Kind for each entry point, under its name",
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise broken(candidate, f"it registers {twice[0]!r} twice", "Register each kind once")


def _way_out_of(error: BaseException, candidate: Candidate) -> str:
    module = candidate.value.partition(":")[0]
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        if f"{module}.".startswith(f"{error.name}."):
            return f"Its own module is not there: install {candidate.distribution} again"
        return f"Install what provides the module {error.name!r}"
    if isinstance(error, AttributeError) and ":" in candidate.value and error.obj is sys.modules.get(module):
        return "Correct the entry point: its module has no such object"
    if isinstance(error, KeyError) and error.args == (module,):
        return "It has removed itself from sys.modules: leave it there"
    return ""
