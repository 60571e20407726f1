"""What knows the installed kinds: which there are, what a name stands for, and the one plugin to load for it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, NamedTuple

from rnnkit._messages import short_repr
from rnnkit.catalog.discovery import (
    OWN,
    Candidate,
    candidate_of,
    installed_entry_points,
    is_distribution,
    is_name,
    misnamed_error,
    normalized,
)
from rnnkit.catalog.policy import Policy
from rnnkit.catalog.records import Records, note_of_kind
from rnnkit.catalog.resolution import Provider, Resolution, resolve, unknown
from rnnkit.errors import PluginError, ReservedKindError

if TYPE_CHECKING:
    from rnnkit.catalog.hook_validation import AfterBuild
    from rnnkit.catalog.registration import RegisteredHooks
    from rnnkit.kind import Kind


class LocalEntry(NamedTuple):
    """A kind that this process has registered itself."""

    candidate: Candidate
    kind: Kind


class Catalog:
    """The kinds of one environment, and those that this process has registered itself.

    Args:
        find: returns the entry points to know, and an error for each distribution that cannot be read; called once,
            when the first question is asked. The default looks at every installed distribution.
        allow: the only third-party distributions that may provide kinds; None: all may.
        block: distributions that may not.
        strict: a broken plugin is an error at the first question; this loads every plugin.

    The environment variables `RNNKIT_ALLOW_PLUGINS`, `RNNKIT_BLOCK_PLUGINS` and `RNNKIT_STRICT_PLUGINS` are read with
    the first question, and hold as well.

    Safe to share between threads, and to take through a fork. No plugin is imported while the catalog's lock is held:
    that would deadlock with another thread that holds Python's import lock and asks the catalog something.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[EntryPoint | PluginError]] = installed_entry_points,
        *,
        allow: Iterable[str] | None = None,
        block: Iterable[str] = (),
        strict: bool = False,
    ) -> None:
        self._find = find
        self._policies = [Policy.of(allow=allow, block=block, strict=strict, source="Catalog")]
        self._lock = threading.Lock()
        self._entry_points: dict[str, list[EntryPoint]] | None = None  # by bare name; None: not looked yet
        self._unreadable: list[PluginError] = []  # distributions
        self._misnamed: list[PluginError] = []  # entry points
        self._strict_checked = False  # whether all plugins are known to work, which a strict policy asks for
        self._local: dict[str, LocalEntry] = {}  # by bare name
        self._records = Records()
        self._hooks: tuple[RegisteredHooks, ...] = ()  # of the user
        self._cache: dict[str, Resolution] = {}  # by the name that was asked for; a change starts a new one
        _catalogs.add(self)

    def names(self, pattern: str | None = None) -> list[str]:
        """The canonical names of the kinds that are not blocked, sorted. Imports no plugin.

        Args:
            pattern: only names that match it as a shell would, with their distribution or without; None: all.
        """
        usable = [each.candidate for each in self.providers() if each.status != "blocked"]
        return sorted(each.name for each in usable if pattern is None or each.matches(pattern))

    def providers(self, kind: str | None = None) -> list[Provider]:
        """Who provides kinds, blocked and broken ones included, and what is known of that. Imports no plugin.

        Args:
            kind: only those who provide the kind of this bare name; None: all.
        """
        if kind is None:
            return [
                each for name in sorted({*self._entry_points_by_kind(), *self._local}) for each in self.providers(name)
            ]
        local = [self._local[kind].candidate] if kind in self._local else []
        return [self._provider(each) for each in [*self._installed(kind), *local]]

    def problems(self) -> list[PluginError]:
        """What is wrong with distributions and entry points that cannot even be listed. Imports no plugin."""
        self._ensure_scanned()
        return [*self._unreadable, *self._misnamed]

    def resolve(self, name: str) -> Resolution:
        """What a name stands for, and why; it never fails. Imports no plugin.

        Args:
            name: bare (`mgu`) or with its distribution (`rnnkit-mgu/mgu`, `local/mine`).
        """
        if not isinstance(name, str):
            return Resolution(
                short_repr(name), (), None, f"The name of a kind should be a string, but is {short_repr(name)}"
            )
        distribution, slash, kind = name.rpartition("/")
        providers = self.providers(kind)
        if slash:
            providers = [each for each in providers if each.candidate.distribution == normalized(distribution)]
        if providers:
            return self._renamed(resolve(name, providers))
        return unknown(name, self.providers(), self.problems())

    def canonical(self, name: str) -> str:
        """The one name of a kind that stays unambiguous: bare for rnnkit's own, `distribution/kind` for all others.

        Of an old name the new one, if the plugin that says so has been loaded: imports no plugin.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
        """
        return self._resolve_cached(name).require().name

    def current_name(self, name: str) -> str:
        """The same, once the plugin of the kind has been imported, which knows whether the name is an old one.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
            PluginError: its plugin is broken.
        """
        return self._ensure_loaded(name).name

    def distribution(self, name: str) -> str:
        """The name of the distribution that provides a kind, `local` for this process. Imports no plugin.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
        """
        return self._resolve_cached(name).require().distribution

    def get(self, name: str) -> Kind:
        """The record of a kind; the first call for a kind imports its plugin, and no other.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
            PluginError: its plugin is broken.
        """
        chosen = self._ensure_loaded(name)
        return self._local[chosen.kind].kind if chosen.entry is None else self._records.kinds[chosen.name]

    def alias_message(self, name: str) -> str:
        """What to say to who asks for a kind by a name that is known to be an old one; empty: it is not."""
        answer = self._resolve_cached(name)
        if answer.old_name is None:
            return ""
        return f"The kind {name!r} is {self._note(answer.old_name)}: write {answer.require().name!r} instead"

    def deprecation(self, name: str) -> str:
        """What to say to who makes a spec of a deprecated kind; empty: the kind is not. Imports its plugin.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
            PluginError: its plugin is broken.
        """
        deprecated = self.get(name).deprecated
        if deprecated is None:
            return ""
        chosen = self._resolve_cached(name).require()
        instead = f"use {deprecated.instead!r} instead" if deprecated.instead else "nothing takes its place"
        return f"The kind {chosen.name!r} is {self._note(chosen)}: {instead}"

    def aliases_of(self, name: str) -> list[str]:
        """The old names of a kind, as far as plugins that have been loaded say so."""
        chosen = self.canonical(name)
        return [old for old in tuple(self._records.aliases) if self.canonical(old) == chosen]

    def after_build(self, name: str) -> list[AfterBuild]:
        """What to call with a spec of a kind and its model: the hook of its plugin, then those of the user in turn."""
        of_plugin = self._records.after_build.get(self.canonical(name))
        return [*filter(None, [of_plugin]), *(hooks.after_build for hooks in self._hooks)]

    def add_hooks(self, hooks: RegisteredHooks) -> bool:
        """Have hooks called from now on; False: those of that object are called already, and stay as they are."""
        with self._lock:
            new = all(each.owner is not hooks.owner for each in self._hooks)
            if new:
                self._hooks = (*self._hooks, hooks)
        return new

    def remove_hooks(self, hooks: RegisteredHooks) -> None:
        """Have hooks called no more; nothing, if they are not there."""
        with self._lock:
            self._hooks = tuple(each for each in self._hooks if each is not hooks)

    def control(self, *, allow: Iterable[str] | None = None, block: Iterable[str] = (), strict: bool = False) -> None:
        """Decide which distributions may provide kinds, from now on and on top of what was decided before.

        Raises:
            PluginError: `strict` was asked for, and a plugin is broken.
        """
        self._policies.append(Policy.of(allow=allow, block=block, strict=strict, source="set_plugin_policy"))
        self._cache = {}
        if strict:
            self._strict_checked = False
            self._entry_points_by_kind()  # which checks

    def add_local(self, entry: LocalEntry) -> LocalEntry | None:
        """Put a local kind in its place; returns the older version of it that stood there.

        Raises:
            ReservedKindError: the name is that of one of rnnkit's own kinds, or of another local kind.
        """
        name = entry.kind.name
        if any(each.distribution == OWN for each in self._installed(name)):
            raise ReservedKindError(f"{name!r} is one of rnnkit's own kinds. Choose another name")
        with self._lock:
            before = self._local.get(name)
            if before is not None and before.candidate.value != entry.candidate.value:
                raise ReservedKindError(
                    f"The local kind {name!r} is {before.candidate.value} already, and cannot be "
                    f"{entry.candidate.value} too. Choose another name, or remove the other one first"
                )
            self._local[name] = entry
            self._cache = {}
        return before

    def remove_local(self, entry: LocalEntry, before: LocalEntry | None) -> None:
        """Take a local kind away and put `before` in its place; nothing, if it is not there any more."""
        name = entry.kind.name
        with self._lock:
            if self._local.get(name) is entry:
                del self._local[name]
                if before is not None:
                    self._local[name] = before
            self._cache = {}

    def _resolve_cached(self, name: str) -> Resolution:
        answers = self._cache  # a change puts another one in its place: none is written to that is out of date
        if isinstance(name, str) and name in answers:
            return answers[name]
        resolution = self.resolve(name)
        if resolution.chosen is not None:  # what may be installed in a moment is looked for again
            answers[name] = resolution
        return resolution

    def _renamed(self, resolution: Resolution) -> Resolution:
        """What a name stands for that has turned out to be an old one."""
        old = resolution.chosen
        if old is None or old.name not in self._records.aliases:
            return resolution
        others = self.providers(self._records.aliases[old.name].kind)
        [new] = [each for each in others if each.candidate.distribution == old.distribution]
        return resolution.renamed(new, self._note(old))

    def _ensure_loaded(self, name: str) -> Candidate:
        """Who provides a kind, with its plugin loaded, which may say that the name is an old one."""
        chosen = self._resolve_cached(name).require()
        if chosen.entry is None or chosen.name in self._records.kinds:
            return chosen
        self._load(chosen)
        answer = self._resolve_cached(name)
        return chosen if answer.old_name is None else self._loaded_new(answer.old_name, answer.require())

    def _loaded_new(self, old: Candidate, new: Candidate) -> Candidate:
        """The provider of the kind that another one is an old name of, with its plugin, which may be one of its own."""
        if new.name not in self._records.kinds and new.name not in self._records.aliases:
            self._load(new)
        if new.name in self._records.aliases:
            raise self._twice_renamed(old, new)
        return new

    def _twice_renamed(self, old: Candidate, new: Candidate) -> PluginError:
        from rnnkit.catalog.loader import twice_renamed

        error = twice_renamed(old, new)
        self._records.broken[old.name] = error.cause
        return error

    def _entry_points_by_kind(self) -> dict[str, list[EntryPoint]]:
        entries = self._ensure_scanned()
        if not self._strict_checked:
            self._check_strict()
        return entries

    def _ensure_scanned(self) -> dict[str, list[EntryPoint]]:
        with self._lock:
            if self._entry_points is None:
                self._policies.insert(0, Policy.from_environment())
                self._entry_points = self._scan()
            return self._entry_points

    def _scan(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for entry in self._find():
            if isinstance(entry, PluginError):
                self._unreadable.append(entry)
            elif not is_name(entry.name):
                self._misnamed.append(misnamed_error(entry))
            else:
                found.setdefault(entry.name, []).append(entry)
        return found

    def _installed(self, kind: str) -> list[Candidate]:
        """Who provides a kind, in order of their names, each once: of two entry points of one name its first counts.

        Worked out for the kinds that are asked for only: with many plugins installed, that is most of the time.
        """
        first: dict[str, Candidate] = {}
        for entry in self._entry_points_by_kind().get(kind, []):
            each = candidate_of(entry)
            if is_distribution(each.distribution):
                first.setdefault(each.distribution, each)
        return [first[name] for name in sorted(first)]

    def _check_strict(self) -> None:
        """Raise the error of a broken plugin now if a policy is strict, and with every question until it is mended."""
        self._strict_checked = True  # first, since plugins may ask the catalog something while they are loaded
        if not any(policy.strict for policy in self._policies):
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
        promised = {
            entry.name
            for entries in self._entry_points_by_kind().values()
            for entry in entries
            if entry.value == candidate.value and candidate_of(entry).distribution == candidate.distribution
        }
        from rnnkit.catalog.loader import load_plugin  # with pluggy and pydantic, which no question but this one needs

        try:
            plugin = load_plugin(candidate, promised, partial(self._is_of, candidate.distribution))
        except PluginError as error:
            self._records.refuse(candidate.distribution, promised, error)
            raise
        with self._lock:
            self._records.take(candidate.distribution, plugin)
            if plugin.aliases:
                self._cache = {}

    def _is_of(self, distribution: str, kind: str) -> bool:
        return any(each.distribution == distribution for each in self._installed(kind))

    def _provider(self, each: Candidate) -> Provider:
        if each.entry is None:
            return Provider(each, "loaded", self._note(each))
        for objection in filter(None, (policy.objection(each.distribution) for policy in self._policies)):
            return Provider(each, "blocked", objection)
        return self._records.provider(each)

    def _note(self, each: Candidate) -> str:
        """That a name is an old one, or its kind deprecated; empty: neither, as far as is known."""
        if each.entry is not None:
            return self._records.note(each)
        local = self._local.get(each.kind)
        return note_of_kind(local and local.kind, each.distribution)


_catalogs: weakref.WeakSet[Catalog] = weakref.WeakSet()
_catalog = Catalog()


def _renew_locks() -> None:
    """In the child of a fork: whoever held a lock at that moment is not there to release it."""
    for catalog in _catalogs:
        catalog._lock = threading.Lock()  # noqa: SLF001  # of this very module


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_locks)


def current_catalog() -> Catalog:
    """The catalog that specs and `build_model` use: one per process, unless `use_catalog` replaced it."""
    return _catalog


@contextmanager
def use_catalog(catalog: Catalog) -> Iterator[Catalog]:
    """Replace the catalog of the process within the block, for tests.

    ```python
    with use_catalog(Catalog()):  # scans the installed plugins again
        print(list_kinds())
    ```
    """
    global _catalog  # noqa: PLW0603  # the process has one, and it is swapped here only
    before, _catalog = _catalog, catalog
    try:
        yield catalog
    finally:
        _catalog = before


def list_kinds(pattern: str | None = None) -> list[str]:
    """The names of the installed kinds, sorted; `list_kinds("*lstm*")` those that match, as a shell would.

    rnnkit's own kinds have bare names, a third party's are `distribution/kind`. Kinds that have been turned off are
    left out. Imports neither torch nor any plugin.
    """
    return _catalog.names(pattern)


def get_kind(name: str) -> Kind:
    """The record of a kind. The first call for a kind imports its plugin, and no other.

    Raises:
        UnknownKindError: nobody provides it; the message says what is installed and what you may have meant.
        BlockedKindError: the distribution that provides it has been turned off.
        AmbiguousKindError: several third parties provide it; the message has their full names to choose from.
        PluginError: its plugin is broken.

    Warns:
        DeprecatedKindWarning: its plugin calls the name an old one; the record is that of the new name.
    """
    from rnnkit.deprecation import warn_of_kind

    kind = _catalog.get(name)
    warn_of_kind(_catalog.alias_message(name))
    return kind


def resolve_kind(name: str) -> Resolution:
    """What a name stands for here and now, and why. Print it: it shows every provider, blocked and broken ones too.

    Never fails, and imports no plugin.
    """
    return _catalog.resolve(name)


def set_plugin_policy(*, allow: Iterable[str] | None = None, block: Iterable[str] = (), strict: bool = False) -> None:
    """Decide which distributions may provide kinds, before anything of theirs is imported.

    Holds in this process from now on, on top of the environment variables `RNNKIT_ALLOW_PLUGINS`,
    `RNNKIT_BLOCK_PLUGINS` and `RNNKIT_STRICT_PLUGINS` and of earlier calls: a distribution must pass all of them.
    What has been imported already stays imported, but provides no kind any more.

    Args:
        allow: the only third-party distributions that may provide kinds; None: all may. rnnkit's own need not be named.
        block: distributions that may not, rnnkit's own if it is named.
        strict: load every plugin that is not blocked now, and make the first that is broken an error.

    Raises:
        PluginError: `strict` was asked for, and a plugin is broken.
    """
    _catalog.control(allow=allow, block=block, strict=strict)
