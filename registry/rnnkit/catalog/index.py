"""Finds, resolves and loads what plugins provide in one category: kinds, readouts or commands."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any, NamedTuple

from rnnkit._messages import short_repr
from rnnkit.catalog.discovery import (
    KINDS,
    OWN,
    Candidate,
    Category,
    candidate_of,
    is_distribution,
    is_name,
    misnamed_error,
    normalized,
)
from rnnkit.catalog.policy import Policies
from rnnkit.catalog.records import Records, deprecation_note
from rnnkit.catalog.resolution import Provider, Resolution, resolve, unknown
from rnnkit.errors import PluginError, ReservedKindError

Find = Callable[[], Iterable[EntryPoint | PluginError]]


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
        self._unreadable: list[PluginError] = []  # distributions
        self._misnamed: list[PluginError] = []  # entry points
        self._strict_checked = False  # whether all plugins are known to work, as a strict policy requires
        self._local: dict[str, LocalEntry] = {}  # by bare name
        self._records = Records()
        self._cache: dict[str, Resolution] = {}  # by the name that was asked for; replaced by every change
        _indexes.add(self)

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
        return [*self._unreadable, *self._misnamed]

    def resolve(self, name: str) -> Resolution:
        """The provider that a name stands for, and why. Never fails, and imports no plugin.

        Args:
            name: bare (`mgu`) or with its distribution (`rnnkit-mgu/mgu`, `local/mine`).
        """
        if not isinstance(name, str):
            shown = short_repr(name)
            reason = f"The name of a {self.category.noun} should be a string, but is {shown}"
            return Resolution(shown, (), None, reason)
        distribution, slash, kind = name.rpartition("/")
        providers = self.providers(kind)
        if slash:
            providers = [each for each in providers if each.candidate.distribution == normalized(distribution)]
        if providers:
            return self._follow_alias(resolve(name, providers))
        return unknown(name, self.providers(), self.problems(), self.category)

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
        chosen = self._ensure_loaded(name)
        return self._local[chosen.bare_name].record if chosen.entry is None else self._records.records[chosen.name]

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
        if old is None or old.name not in self._records.aliases:
            return resolution
        others = self.providers(self._records.aliases[old.name].kind)
        [new] = [each for each in others if each.candidate.distribution == old.distribution]
        return resolution.renamed(new, self._note(old))

    def _ensure_loaded(self, name: str) -> Candidate:
        """The provider of a name, its plugin loaded; the plugin may say that the name is an old one."""
        chosen = self._resolve_cached(name).require()
        if chosen.entry is None or chosen.name in self._records.records:
            return chosen
        self._load(chosen)
        resolution = self._resolve_cached(name)
        return chosen if resolution.old_name is None else self._load_new(resolution.old_name, resolution.require())

    def _load_new(self, old: Candidate, new: Candidate) -> Candidate:
        """The provider of the kind that `old` is an old name of, which may be another plugin of its distribution."""
        if new.name not in self._records.records and new.name not in self._records.aliases:
            self._load(new)
        if new.name in self._records.aliases:
            from rnnkit.catalog.loader import alias_of_alias_error

            error = alias_of_alias_error(old, new)
            self._records.broken[old.name] = error.cause
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
                self._unreadable.append(entry)
            elif entry.group != self.category.group:
                continue
            elif not is_name(entry.name):
                self._misnamed.append(misnamed_error(entry))
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
            plugin = load_plugin(candidate, declared, partial(self._is_provided_by, candidate.distribution))
        except PluginError as error:
            self._records.add_broken(candidate.distribution, declared, error)
            raise
        with self._lock:
            self._records.add(candidate.distribution, plugin)
            if self._records.aliases:
                self._cache = {}

    def _is_provided_by(self, distribution: str, kind: str) -> bool:
        return any(each.distribution == distribution for each in self._installed(kind))

    def _provider(self, candidate: Candidate) -> Provider:
        if candidate.entry is None:
            return Provider(candidate, "loaded", self._note(candidate))
        objection = self._objection(candidate.distribution)
        return Provider(candidate, "blocked", objection) if objection else self._records.provider(candidate)

    def _objection(self, distribution: str) -> str | None:
        if distribution == OWN and self.category != KINDS:
            return None  # blocking rnnkit's own kinds leaves the others a readout
        return self._policies.objection(distribution)

    def _note(self, candidate: Candidate) -> str:
        """Says that a name is an old one, or its kind deprecated; empty if neither is known."""
        if candidate.entry is not None:
            return self._records.note(candidate)
        local = self._local.get(candidate.bare_name)
        kind = local.record if local is not None and self.category == KINDS else None
        return deprecation_note(kind, candidate.distribution)


_indexes: weakref.WeakSet[Index] = weakref.WeakSet()


def _renew_locks() -> None:
    """In the child of a fork: the thread that held a lock at that moment does not exist there."""
    for index in _indexes:
        index._lock = threading.Lock()  # noqa: SLF001  # of this very module


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_locks)
