"""Finds, resolves and loads what plugins provide in one category, such as kinds."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnkit._messages import short_repr
from rnnkit.catalog.discovery import (
    KINDS,
    OWN,
    Candidate,
    Category,
    HiddenEntryPoint,
    candidate_of,
    canonical,
    is_distribution,
    is_name,
    misnamed_error,
    normalized,
)
from rnnkit.catalog.policy import Policies
from rnnkit.catalog.reload import Reference, references_of, warn_of_old_parts
from rnnkit.catalog.resolution import Provider, Resolution, Status, hidden_only, resolve, unknown
from rnnkit.deprecation import KindAlias, note_of_alias, note_of_deprecation
from rnnkit.errors import PluginError, ReservedKindError

if TYPE_CHECKING:
    import pluggy

Find = Callable[[], Iterable[EntryPoint | HiddenEntryPoint | PluginError]]


class LocalEntry(NamedTuple):
    """Something that this process registered itself."""

    candidate: Candidate
    record: Any


class Index:
    """The names of one category in one environment, and those that this process registered itself.

    Safe to share between threads and to take through a fork. No plugin is imported while the lock is held: that would
    deadlock with a thread that holds Python's import lock and asks the index something.
    """

    def __init__(self, category: Category, find: Find, policies: Policies) -> None:
        self.category = category
        self._find = find
        self._policies = policies
        self._lock = threading.Lock()
        self._entry_points: dict[str, list[EntryPoint]] | None = None  # by bare name; None: not scanned yet
        self._problems: list[PluginError] = []  # of distributions and entry points
        self._hidden: list[Provider] = []
        self._strict_checked = False  # whether all plugins are known to work, as a strict policy requires
        self._local: dict[str, LocalEntry] = {}  # by bare name
        self._records: dict[str, Any] = {}  # of loaded plugins, by canonical name; a KindAlias for an old name
        self._managers: dict[str, pluggy.PluginManager] = {}  # the hooks of the plugin of a record
        self._references: dict[str, tuple[Reference, ...]] = {}  # the classes and functions of the plugin of a record
        self._broken: dict[str, str] = {}  # the cause, where a plugin could not be loaded
        self._cache: dict[str, Resolution] = {}  # by the name that was asked for; replaced by every change
        _indexes.add(self)

    @property
    def version(self) -> object:
        """An object that another one replaces when what names resolve to changes, or a plugin is loaded."""
        return self._cache

    def names(self, pattern: str | None = None) -> list[str]:
        """The canonical names that are not blocked, sorted. Imports no plugin.

        Args:
            pattern: only names that match it as a shell would, with their distribution or without; None: all.
        """
        usable = [each.candidate for each in self.providers() if each.status != "blocked"]
        return sorted(each.name for each in usable if pattern is None or each.matches(pattern))

    def providers(self, kind: str | None = None) -> list[Provider]:
        """All providers, blocked and broken ones included, and what is known about them. Imports no plugin.

        Args:
            kind: only providers of this bare name; None: all.
        """
        if kind is None:
            names = sorted({*self._entry_points_by_name(), *self._local})
            return [each for name in names for each in self.providers(name)]
        local = [self._local[kind].candidate] if kind in self._local else []
        return [self._provider(each) for each in [*self._installed(kind), *local]]

    def problems(self) -> list[PluginError]:
        """The errors of distributions and entry points that cannot even be listed. Imports no plugin."""
        self._ensure_scanned()
        return list(self._problems)

    def hidden(self, bare_name: str | None = None) -> list[Provider]:
        """The entry points that another version of their distribution hides. Imports no plugin.

        Args:
            bare_name: only those of this name; None: all.
        """
        self._ensure_scanned()
        own = (each for each in self._hidden if each.candidate.category == self.category)
        return [each for each in own if bare_name in (None, each.candidate.bare_name)]

    def resolve(self, name: str) -> Resolution:
        """The provider that a name stands for, and why. Never fails, and imports no plugin.

        Args:
            name: bare (`nbrc`) or with its distribution (`rnnkit-nbrc/nbrc`, `local/mine`).
        """
        if not isinstance(name, str):
            shown = short_repr(name)
            reason = f"The name of a {self.category.noun} should be a string, but is {shown}"
            return Resolution(shown, (), None, reason)
        distribution, slash, bare_name = name.rpartition("/")
        providers, hidden = self.providers(bare_name), self.hidden(bare_name)
        if slash:
            providers, hidden = (
                [each for each in found if each.candidate.distribution == normalized(distribution)]
                for found in (providers, hidden)
            )
        if providers:
            resolution = self._follow_alias(resolve(name, providers))
        elif hidden:
            resolution = hidden_only(name, hidden)
        else:
            return unknown(name, self.providers(), self.problems(), self.category)
        return replace(resolution, providers=(*resolution.providers, *hidden))

    def canonical(self, name: str) -> str:
        """The unambiguous name: bare for rnnkit's own, `distribution/kind` for all others.

        For an old name, the new one if the plugin that renamed it has been loaded. Imports no plugin.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for nothing.
        """
        return self._resolve_cached(name).require().name

    def distribution(self, name: str) -> str:
        """The distribution that provides a name; `local` for this process. Imports no plugin.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for nothing.
        """
        return self._resolve_cached(name).require().distribution

    def get(self, name: str) -> Any:
        """The record of a name; the first call imports its plugin, and no other.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for nothing.
            PluginError: its plugin is broken.
        """
        return self._record(self._ensure_loaded(name))

    def add_local(self, entry: LocalEntry) -> LocalEntry | None:
        """Register something local; returns the older version of it that it replaces.

        Raises:
            ReservedKindError: the name is rnnkit's own, or that of something else that is local.
        """
        name, noun = entry.candidate.bare_name, self.category.noun
        if any(each.distribution == OWN for each in self._installed(name)):
            raise ReservedKindError(f"{name!r} is one of rnnkit's own {noun}s. Choose another name")
        with self._lock:
            before = self._local.get(name)
            if before is not None and before.candidate.value != entry.candidate.value:
                raise ReservedKindError(
                    f"The local {noun} {name!r} is {before.candidate.value} already, and cannot be "
                    f"{entry.candidate.value} too. Choose another name, or remove the other one first"
                )
            self._local[name] = entry
            self._cache = {}
        return before

    def remove_local(self, entry: LocalEntry, before: LocalEntry | None) -> None:
        """Remove something local and restore `before`; does nothing if it has been removed already."""
        name = entry.candidate.bare_name
        with self._lock:
            if self._local.get(name) is entry:
                del self._local[name]
                if before is not None:
                    self._local[name] = before
            self._cache = {}

    def policies_changed(self, *, strict: bool) -> None:
        """Forget resolutions that were made under fewer policies; check all plugins now if `strict`.

        Raises:
            PluginError: `strict`, and a plugin is broken.
        """
        self._cache = {}
        if strict:
            self._strict_checked = False
            self._entry_points_by_name()  # which checks

    def _resolve_cached(self, name: str) -> Resolution:
        cache = self._cache  # a change replaces it: an outdated one is never written to
        if isinstance(name, str) and name in cache:
            return cache[name]
        resolution = self.resolve(name)
        if resolution.chosen is not None:  # a missing kind may be installed at any moment: look again
            cache[name] = resolution
        return resolution

    def _follow_alias(self, resolution: Resolution) -> Resolution:
        old = resolution.chosen
        alias = None if old is None else self._record(old)
        if old is None or not isinstance(alias, KindAlias):
            return resolution
        others = self.providers(alias.kind)
        [new] = [each for each in others if each.candidate.distribution == old.distribution]
        return resolution.renamed(new, self._note(old))

    def _ensure_loaded(self, name: str) -> Candidate:
        """The provider of a name, its plugin loaded; the plugin may say that the name is an old one."""
        chosen = self._resolve_cached(name).require()
        record = self._record(chosen)
        if record is not None and not isinstance(record, KindAlias):
            self._reload_if_outdated(chosen)
            return chosen
        self._load(chosen)
        resolution = self._resolve_cached(name)
        return chosen if resolution.old_name is None else self._load_new(resolution.old_name, resolution.require())

    def _reload_if_outdated(self, candidate: Candidate) -> None:
        """Register a plugin again if its modules were loaded again, as by `importlib.reload`."""
        manager = self._managers.get(candidate.name)  # first: if another thread is faster, its records stay
        outdated = [each for each in self._references.get(candidate.name, ()) if not each.is_current()]
        if outdated:
            self._forget(manager)
            self._load(candidate)
            warn_of_old_parts(candidate, self._record(candidate), outdated)

    def _forget(self, manager: pluggy.PluginManager | None) -> None:
        """Remove the records of a plugin."""
        with self._lock:
            for name in [name for name, its in self._managers.items() if its is manager]:
                del self._records[name], self._managers[name], self._references[name]
            self._cache = {}

    def _load_new(self, old: Candidate, new: Candidate) -> Candidate:
        """The provider of the kind that `old` is an old name of, which may be another plugin of its distribution."""
        if self._record(new) is None:
            self._load(new)
        if isinstance(self._record(new), KindAlias):
            from rnnkit.catalog.loader import alias_of_alias_error

            error = alias_of_alias_error(old, new)
            self._broken[old.name] = error.cause
            raise error
        return new

    def _entry_points_by_name(self) -> dict[str, list[EntryPoint]]:
        entry_points = self._ensure_scanned()
        if not self._strict_checked:
            self._check_strict()
        return entry_points

    def _ensure_scanned(self) -> dict[str, list[EntryPoint]]:
        with self._lock:
            if self._entry_points is None:
                self._entry_points = self._scan()
            return self._entry_points

    def _scan(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for entry in self._find():
            if isinstance(entry, PluginError):
                self._problems.append(entry)
            elif isinstance(entry, HiddenEntryPoint):
                self._hidden.append(Provider(candidate_of(entry.entry), "hidden", entry.note))
            elif entry.group != self.category.group:
                continue
            elif not is_name(entry.name):
                self._problems.append(misnamed_error(entry))
            else:
                found.setdefault(entry.name, []).append(entry)
        return found

    def _installed(self, kind: str) -> list[Candidate]:
        """The providers of a name in the order of their distributions, each once: its first entry point counts.

        Computed for one name at a time: with many plugins installed, that saves most of the time.
        """
        first: dict[str, Candidate] = {}
        for entry in self._entry_points_by_name().get(kind, []):
            each = candidate_of(entry)
            if is_distribution(each.distribution):
                first.setdefault(each.distribution, each)
        return [first[name] for name in sorted(first)]

    def _check_strict(self) -> None:
        """With a strict policy, raise the error of a broken plugin with every call until it is fixed."""
        self._strict_checked = True  # first, since plugins may ask the index something while they are loaded
        if not self._policies.strict:
            return
        try:
            for problem in self.problems():
                raise problem
            for provider in self.providers():
                if provider.status in ("not loaded", "broken"):
                    self.get(provider.candidate.name)
        except PluginError:
            self._strict_checked = False
            raise

    def _load(self, candidate: Candidate) -> None:
        declared = {
            entry.name
            for entries in self._entry_points_by_name().values()
            for entry in entries
            if entry.value == candidate.value and candidate_of(entry).distribution == candidate.distribution
        }
        from rnnkit.catalog.loader import load_plugin  # imports pluggy and pydantic, which nothing else here needs

        try:
            records, manager = load_plugin(candidate, declared, partial(self._is_provided_by, candidate.distribution))
        except PluginError as error:
            names = {canonical(candidate.distribution, bare_name) for bare_name in declared}
            self._broken |= dict.fromkeys(names - self._records.keys(), error.cause)
            raise
        references = references_of(candidate.value, self.category.hook, records.values())
        with self._lock:
            for bare_name, record in records.items():  # if another thread was faster, its records stay
                name = canonical(candidate.distribution, bare_name)
                self._records.setdefault(name, record)
                self._managers.setdefault(name, manager)
                self._references.setdefault(name, references)
                self._broken.pop(name, None)
            self._cache = {}

    def _is_provided_by(self, distribution: str, kind: str) -> bool:
        return any(each.distribution == distribution for each in self._installed(kind))

    def _provider(self, candidate: Candidate) -> Provider:
        if objection := self._objection(candidate):
            return Provider(candidate, "blocked", objection)
        if candidate.name in self._broken:
            return Provider(candidate, "broken", self._broken[candidate.name])
        status: Status = "not loaded" if self._record(candidate) is None else "loaded"
        return Provider(candidate, status, self._note(candidate))

    def _objection(self, candidate: Candidate) -> str | None:
        if candidate.entry is None or (candidate.distribution == OWN and self.category != KINDS):
            return None  # blocking rnnkit's own kinds leaves the others a readout
        return self._policies.objection(candidate.distribution)

    def _record(self, candidate: Candidate) -> Any:
        """The record of a candidate; None if its plugin is not loaded."""
        if candidate.entry is not None:
            return self._records.get(candidate.name)
        local = self._local.get(candidate.bare_name)
        return None if local is None else local.record

    def _note(self, candidate: Candidate) -> str:
        """Say that a name is an old one, or its kind deprecated; empty if neither is known."""
        record, distribution = self._record(candidate), candidate.distribution
        if isinstance(record, KindAlias):
            return note_of_alias(record, canonical(distribution, record.kind), distribution)
        deprecated = getattr(record, "deprecated", None) if self.category == KINDS else None
        return note_of_deprecation(deprecated, distribution) if deprecated else ""


_indexes: weakref.WeakSet[Index] = weakref.WeakSet()


def _renew_locks() -> None:
    """In the child of a fork: the thread that held a lock at that moment does not exist there."""
    for index in _indexes:
        index._lock = threading.Lock()  # noqa: SLF001  # of this very module


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_locks)
