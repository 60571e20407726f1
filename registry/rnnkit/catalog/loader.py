"""Loads one plugin: imports it, calls the hook that registers its kinds, and takes all of them or none.

Every failure becomes a `PluginError` that names the plugin, the cause and the fix. A plugin may raise anything,
`SystemExit` included; only `KeyboardInterrupt` passes.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import ModuleType
from typing import Any

import pluggy

from rnnkit._messages import describe_exception, end_sentence, join_quoted, short_repr
from rnnkit._version import __version__
from rnnkit.catalog.discovery import KINDS, OWN, Candidate, is_name
from rnnkit.catalog.hook_validation import implements, require_hook, validated_manager
from rnnkit.catalog.policy import BLOCK
from rnnkit.deprecation import Deprecation, KindAlias
from rnnkit.errors import PluginError
from rnnkit.kind import Kind
from rnnkit.options import Options

_DECLARABLE_CHECKS = ("loss_decreases",)  # of which the kit cannot find out itself that they do not apply
_REFERENCE = re.compile(r"[\w.]+(:[\w.]+)?\s*(\[.*\])?")  # `module` or `module:object`, and perhaps extras


_loading: ContextVar[tuple[str, ...]] = ContextVar("loading", default=())  # the plugins that this thread is loading


def load_plugin(
    candidate: Candidate, declared: set[str], is_own: Callable[[str], bool]
) -> tuple[dict[str, Any], pluggy.PluginManager]:
    """Import a plugin and let it register what it provides in the category of a candidate.

    Returns its records by bare name (kinds and their old names, readouts, or commands), and its hooks.

    Args:
        candidate: one of its entry points.
        declared: the names of all entry points of the same category that lead to it.
        is_own: tells whether its distribution provides a kind.

    Raises:
        PluginError: it requires another rnnkit, cannot be imported, or breaks the contract of plugins.
    """
    with _while_loading(candidate):
        _check_requirement(candidate)
        manager = _manager(candidate, _import(candidate))
        records = _register(candidate, manager)
    _check_names(candidate, [record.name for record in records], declared)
    _check_aliases(candidate, records, is_own)
    return {record.name: record for record in records}, manager


def validate_kind(candidate: Candidate, kind: object) -> None:
    """Raise `PluginError` unless the record of a candidate is a valid `Kind`."""
    if not isinstance(kind, Kind):
        raise plugin_error(candidate, f"it registers {short_repr(kind)}", "Register an rnnkit.Kind")
    _check_name(candidate, kind.name)
    if not (isinstance(kind.options, type) and issubclass(kind.options, Options)):
        cause = f"the options of its kind {short_repr(kind.name)} are {short_repr(kind.options)}"
        raise plugin_error(candidate, cause, "Give a subclass of rnnkit.Options")
    if not callable(kind.builder):
        cause = f"the builder of its kind {short_repr(kind.name)} is {short_repr(kind.builder)}"
        raise plugin_error(candidate, cause, "Give a function or class that takes (spec, *, device, dtype)")
    if not isinstance(kind.deprecated, Deprecation | None):
        cause = f"its kind {short_repr(kind.name)} is deprecated={short_repr(kind.deprecated)}"
        raise plugin_error(candidate, cause, "Give an rnnkit.Deprecation, or None")
    if not _may_be_inapplicable(kind.inapplicable_checks):
        cause = f"its kind {short_repr(kind.name)} has inapplicable_checks={short_repr(kind.inapplicable_checks)}"
        fix = f"Only {join_quoted(_DECLARABLE_CHECKS)} can be declared not applicable, with a reason"
        raise plugin_error(candidate, cause, fix)


def _may_be_inapplicable(checks: object) -> bool:
    """Whether each check is one that a kind may declare not applicable, with a reason."""
    return isinstance(checks, Mapping) and all(
        name in _DECLARABLE_CHECKS and isinstance(reason, str) and reason.strip() for name, reason in checks.items()
    )


def plugin_error(candidate: Candidate, cause: str, fix: str = "") -> PluginError:
    """The error of a plugin, or of something local, that breaks the contract."""
    fix = fix or "Ask its authors, or install another version"
    noun = candidate.category.noun
    if candidate.entry is None:
        message = f"The local {noun} {candidate} cannot be registered: {end_sentence(cause)} {fix}."
    else:
        message = (
            f"The plugin {candidate} is broken: {end_sentence(cause)} {fix}. To block it, add "
            f"{candidate.distribution} to {BLOCK}."
        )
    error = PluginError(message)
    error.cause = cause
    return error


def alias_of_alias_error(old: Candidate, new: Candidate) -> PluginError:
    """The error of an old name that stands for another old name."""
    return plugin_error(
        old, f"its alias {old.bare_name!r} stands for {new.bare_name!r}, which is an alias too", "Name the kind itself"
    )


@contextmanager
def wrap_plugin_errors(candidate: Candidate, doing: str) -> Iterator[None]:
    """Convert everything that the block raises into the plugin's error, unless it is one of this plugin already."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, PluginError) and str(error).startswith(f"The plugin {candidate} is broken"):
            raise
        cause = f"{doing} raised {describe_exception(error)}"
        raise plugin_error(candidate, cause, _fix_for(error, candidate)) from error


@contextmanager
def _while_loading(candidate: Candidate) -> Iterator[None]:
    """A block in which the same plugin cannot be loaded once more."""
    if candidate.value in _loading.get():
        cause = f"it asks for its own {candidate.category.noun} while it is being loaded"
        raise plugin_error(candidate, cause, "Ask later, in a function")
    token = _loading.set((*_loading.get(), candidate.value))
    try:
        yield
    finally:
        _loading.reset(token)


def _check_requirement(candidate: Candidate) -> None:
    """Checked before anything is imported: a plugin for another rnnkit may fail in any way."""
    if candidate.distribution == OWN:
        return
    from rnnkit.catalog.requirement import unmet_requirement  # imports packaging, which nothing else needs

    if needed := unmet_requirement(candidate.entry):
        fix = f"Install versions that fit: `pip install --upgrade {candidate.distribution}`"
        raise plugin_error(candidate, f"it needs {needed}, but rnnkit {__version__} is installed", fix)


def _import(candidate: Candidate) -> Any:
    entry = candidate.entry
    if entry is None or not _REFERENCE.fullmatch(candidate.value):
        cause = f"its entry point leads to {candidate.value!r}, which is neither `module` nor `module:object`"
        raise plugin_error(candidate, cause)
    with wrap_plugin_errors(candidate, "importing it"):
        return entry.load()


def _manager(candidate: Candidate, plugin: Any) -> pluggy.PluginManager:
    with wrap_plugin_errors(candidate, "looking for its hook"):
        if isinstance(plugin, type):
            raise plugin_error(candidate, "its entry point names a class", "Name a module, or an object of that class")
        fail, guard = partial(plugin_error, candidate), partial(wrap_plugin_errors, candidate)
        manager = validated_manager(plugin, fail, guard)
        if inspect.isroutine(plugin) and not implements(manager, candidate.category.hook):
            raise plugin_error(candidate, "its entry point names a function", "Name the module that it is in")
        subject = "it" if isinstance(plugin, ModuleType) else short_repr(plugin)
        require_hook(manager, plugin, candidate.category.hook, fail, subject=subject)
    return manager


def _register(candidate: Candidate, manager: pluggy.PluginManager) -> list[Any]:
    records: list[Any] = []

    def register(record: Any) -> None:
        if candidate.category != KINDS:
            _check_name(candidate, getattr(record, "name", None))
        elif not isinstance(record, KindAlias):
            validate_kind(candidate, record)
        records.append(record)

    getattr(manager.hook, candidate.category.hook)(register=register)
    return records


def _check_name(candidate: Candidate, name: object) -> None:
    if not is_name(name):
        cause = f"the name of its {candidate.category.noun} is {short_repr(name)}"
        raise plugin_error(candidate, cause, "Give a plain string without spaces and slashes")


def _check_names(candidate: Candidate, names: list[str], declared: set[str]) -> None:
    if candidate.bare_name not in names or not declared.issuperset(names):
        raise plugin_error(
            candidate,
            f"it has entry points for {join_quoted(sorted(declared))}, but registers {join_quoted(sorted(names))}",
            f"Register one {candidate.category.noun} for each entry point, under its name",
        )
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise plugin_error(candidate, f"it registers {repeated[0]!r} twice", "Register each name once")


def _check_aliases(candidate: Candidate, records: list[Any], is_own: Callable[[str], bool]) -> None:
    for alias in records:
        if isinstance(alias, KindAlias) and not (is_name(alias.kind) and is_own(alias.kind)):
            alias_name, kind = short_repr(alias.name), short_repr(alias.kind)
            cause = f"its alias {alias_name} stands for {kind}, which is not a kind of {candidate.distribution}"
            raise plugin_error(candidate, cause, "Name a kind that has an entry point of the same distribution")


def _fix_for(error: BaseException, candidate: Candidate) -> str:
    module = candidate.value.partition(":")[0]
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        if f"{module}.".startswith(f"{error.name}."):
            return f"Its own module is missing: install {candidate.distribution} again"
        return f"Install what provides the module {error.name!r}"
    if isinstance(error, AttributeError) and ":" in candidate.value and error.obj is sys.modules.get(module):
        return "Correct the entry point: its module has no such object"
    if isinstance(error, KeyError) and error.args == (module,):
        return "It has removed itself from sys.modules: leave it there"
    return ""
