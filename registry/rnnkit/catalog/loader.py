"""Loads one plugin: imports it, calls its hook alone, and takes its kinds, all of them or none.

Whatever goes wrong becomes a `PluginError` that names the plugin, the cause and the way out. A plugin may raise
anything, `SystemExit` included; only an interrupt from the keyboard is not its own doing.
"""

from __future__ import annotations

import inspect
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import pluggy

from rnnkit._messages import describe_exception, join_quoted, short_repr
from rnnkit._version import __version__
from rnnkit.catalog.discovery import OWN, Candidate, is_name
from rnnkit.catalog.hook_validation import AfterBuild, implements, manager_of
from rnnkit.catalog.policy import BLOCK
from rnnkit.deprecation import Deprecation, KindAlias
from rnnkit.errors import PluginError
from rnnkit.kind import Kind
from rnnkit.options import Options

HOOK = "register_kinds"
_REFERENCE = re.compile(r"[\w.]+(:[\w.]+)?\s*(\[.*\])?")  # `module` or `module:object`, and perhaps extras


class LoadedPlugin(NamedTuple):
    """What a plugin provides.

    Attributes:
        records: the kinds and the old names that it registers.
        after_build: calls its hook of that name; None: it has none.
    """

    records: list[Kind | KindAlias]
    after_build: AfterBuild | None

    @property
    def kinds(self) -> list[Kind]:
        """The kinds among its records."""
        return [record for record in self.records if isinstance(record, Kind)]

    @property
    def aliases(self) -> list[KindAlias]:
        """The old names among its records."""
        return [record for record in self.records if isinstance(record, KindAlias)]


class _Loading(threading.local):
    """What this thread is loading."""

    def __init__(self) -> None:
        self.candidates: list[Candidate] = []


_loading = _Loading()


def load_plugin(candidate: Candidate, promised: set[str], is_of_it: Callable[[str], bool]) -> LoadedPlugin:
    """What a plugin provides.

    Args:
        candidate: leads to the plugin.
        promised: the kinds of all the entry points that lead there.
        is_of_it: whether its distribution provides a kind.

    Raises:
        PluginError: it asks for another rnnkit, cannot be imported, or does not keep the contract.
    """
    with _while_loading(candidate):
        _check_requirement(candidate)
        manager = _manager(candidate, _imported(candidate))
        records = _registered(candidate, manager)
    _check_names(candidate, [record.name for record in records], promised)
    plugin = LoadedPlugin(records, _caller_of_after_build(candidate, manager))
    _check_aliases(candidate, plugin.aliases, is_of_it)
    return plugin


def validate_kind(candidate: Candidate, kind: object) -> None:
    """Raise `PluginError` unless a candidate's record is one that can be used."""
    if not isinstance(kind, Kind):
        raise plugin_error(candidate, f"it registers {short_repr(kind)}", "Register a rnnkit.Kind")
    if not is_name(kind.name):
        raise plugin_error(
            candidate, f"it names a kind {short_repr(kind.name)}", "Give a plain string without spaces and slashes"
        )
    if not (isinstance(kind.options, type) and issubclass(kind.options, Options)):
        cause = f"the options of its kind {kind.name!r} are {short_repr(kind.options)}"
        raise plugin_error(candidate, cause, "Give a subclass of rnnkit.Options")
    if not callable(kind.builder):
        cause = f"the builder of its kind {kind.name!r} is {short_repr(kind.builder)}"
        raise plugin_error(candidate, cause, "Give a function or class that takes (spec, *, device, dtype)")
    if not isinstance(kind.deprecated, Deprecation | None):
        cause = f"its kind {kind.name!r} is deprecated={short_repr(kind.deprecated)}"
        raise plugin_error(candidate, cause, "Give a rnnkit.Deprecation, or None")


def plugin_error(candidate: Candidate, cause: str, way_out: str = "") -> PluginError:
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


def twice_renamed(old: Candidate, new: Candidate) -> PluginError:
    """The error of an old name that stands for another old name."""
    return plugin_error(
        old, f"its alias {old.kind!r} stands for {new.kind!r}, which is an alias too", "Name the kind itself"
    )


@contextmanager
def _while_loading(candidate: Candidate) -> Iterator[None]:
    """A block in which the plugin cannot be loaded once more."""
    if any(each.value == candidate.value for each in _loading.candidates):
        raise plugin_error(
            candidate, "it asks for its own kind while it is being loaded", "Ask later, inside a function"
        )
    _loading.candidates.append(candidate)
    try:
        yield
    finally:
        _loading.candidates.pop()


@contextmanager
def wrap_plugin_errors(candidate: Candidate, doing: str) -> Iterator[None]:
    """Whatever is raised in the block is the plugin's, unless this very plugin has been blamed for it already."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, PluginError) and str(error).startswith(f"The plugin {candidate} is broken"):
            raise
        raise plugin_error(
            candidate, f"{doing} raised {describe_exception(error)}", _way_out_of(error, candidate)
        ) from error


def _imported(candidate: Candidate) -> Any:
    entry = candidate.entry
    if entry is None or not _REFERENCE.fullmatch(candidate.value):
        cause = f"its entry point leads to {candidate.value!r}, which is neither `module` nor `module:object`"
        raise plugin_error(candidate, cause)
    with wrap_plugin_errors(candidate, "importing it"):
        return entry.load()


def _check_requirement(candidate: Candidate) -> None:
    """Before anything of it is imported, and so fails in whatever way it may."""
    if candidate.distribution == OWN:
        return
    from rnnkit.catalog.requirement import unmet_requirement  # with packaging, which nothing else needs

    unmet = unmet_requirement(candidate.entry)
    if unmet is not None:
        way_out = (
            f'Run `pip install --upgrade "{unmet.needed}"`'
            if unmet.too_old
            else f"Install another version of it: `pip install --upgrade {candidate.distribution}`"
        )
        raise plugin_error(candidate, f"it needs {unmet.needed}, but rnnkit {__version__} is installed", way_out)


def _manager(candidate: Candidate, plugin: Any) -> pluggy.PluginManager:
    with wrap_plugin_errors(candidate, "looking for its hook"):
        if isinstance(plugin, type):
            raise plugin_error(candidate, "its entry point names a class", "Name a module, or an object of that class")
        manager = manager_of(plugin, partial(plugin_error, candidate))
        if not implements(manager, HOOK):
            raise _hookless(candidate, plugin)
    return manager


def _hookless(candidate: Candidate, plugin: Any) -> PluginError:
    if inspect.isroutine(plugin):
        return plugin_error(candidate, "its entry point names a function", "Name the module that it is in")
    if callable(getattr(plugin, HOOK, None)):
        return plugin_error(candidate, f"its function `{HOOK}` is not marked", "Put `@rnnkit.hookimpl` on it")
    what = "it" if isinstance(plugin, ModuleType) else short_repr(plugin)
    return plugin_error(candidate, f"{what} has no hook `{HOOK}`", "Write one, marked with `@rnnkit.hookimpl`")


def _registered(candidate: Candidate, manager: pluggy.PluginManager) -> list[Kind | KindAlias]:
    records: list[Kind | KindAlias] = []

    def register(record: Kind | KindAlias) -> None:
        if not isinstance(record, KindAlias):
            validate_kind(candidate, record)
        records.append(record)

    with wrap_plugin_errors(candidate, f"its hook `{HOOK}`"):
        results = manager.hook.register_kinds(register=register)
    _check_returned(candidate, HOOK, results, "Call register(kind), and return nothing")
    return records


def _caller_of_after_build(candidate: Candidate, manager: pluggy.PluginManager) -> AfterBuild | None:
    def call(spec: Any, model: Any) -> None:
        with wrap_plugin_errors(candidate, "its hook `after_build`"):
            results = manager.hook.after_build(spec=spec, model=model)
        _check_returned(candidate, "after_build", results, "Change the model in place, and return nothing")

    return call if implements(manager, "after_build") else None


def _check_returned(candidate: Candidate, hook: str, results: list[Any], way_out: str) -> None:
    if results:
        raise plugin_error(candidate, f"its hook `{hook}` returned a {type(results[0]).__name__}", way_out)


def _check_names(candidate: Candidate, names: list[str], promised: set[str]) -> None:
    if candidate.kind not in names or not promised.issuperset(names):
        raise plugin_error(
            candidate,
            f"it has entry points for {join_quoted(sorted(promised))}, but registers {join_quoted(sorted(names))}",
            "Register one Kind for each entry point, under its name",
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise plugin_error(candidate, f"it registers {twice[0]!r} twice", "Register each kind once")


def _check_aliases(candidate: Candidate, aliases: list[KindAlias], is_of_it: Callable[[str], bool]) -> None:
    for alias in aliases:
        if not (is_name(alias.kind) and is_of_it(alias.kind)):
            cause = f"its alias {alias.name!r} stands for {short_repr(alias.kind)}, no kind of {candidate.distribution}"
            raise plugin_error(candidate, cause, "Name a kind that has an entry point of the same distribution")


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
