"""What knows the installed kinds: which there are, what a name stands for, and the one plugin to load for it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, NamedTuple

from rnnkit.discovery import (
    OWN,
    Candidate,
    candidate_of,
    canonical,
    installed_entry_points,
    is_distribution,
    is_name,
    misnamed,
    normalised,
)
from rnnkit.errors import PluginError, ReservedKindError
from rnnkit.explain import words
from rnnkit.policy import Policy
from rnnkit.resolution import Provider, Resolution, resolve, unknown
from rnnkit.torch_import import import_torch_alone

if TYPE_CHECKING:
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
        self._entries: dict[str, list[EntryPoint]] | None = None  # by bare name; None: not looked yet
        self._unreadable: list[PluginError] = []  # distributions
        self._misnamed: list[PluginError] = []  # entry points
        self._checked = False  # whether all plugins are known to work, which a strict policy asks for
        self._local: dict[str, LocalEntry] = {}  # by bare name
        self._kinds: dict[str, Kind] = {}  # by canonical name
        self._broken: dict[str, str] = {}  # by canonical name, what was wrong at the last try
        self._answers: dict[str, Candidate] = {}  # by the name that was asked for; a change starts a new one
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
            return [each for name in sorted({*self._found(), *self._local}) for each in self.providers(name)]
        local = [self._local[kind].candidate] if kind in self._local else []
        return [self._provider(each) for each in [*self._installed(kind), *local]]

    def problems(self) -> list[PluginError]:
        """What is wrong with distributions and entry points that cannot even be listed. Imports no plugin."""
        self._looked()
        return [*self._unreadable, *self._misnamed]

    def resolve(self, name: str) -> Resolution:
        """What a name stands for, and why; it never fails. Imports no plugin.

        Args:
            name: bare (`mgu`) or with its distribution (`rnnkit-mgu/mgu`, `local/mine`).
        """
        if not isinstance(name, str):
            return Resolution(words(name), (), None, f"The name of a kind should be a string, but is {words(name)}")
        distribution, slash, kind = name.rpartition("/")
        providers = self.providers(kind)
        if slash:
            providers = [each for each in providers if each.candidate.distribution == normalised(distribution)]
        if providers:
            return resolve(name, providers)
        return unknown(name, self.providers(), self.problems())

    def canonical(self, name: str) -> str:
        """The one name of a kind that stays unambiguous: bare for rnnkit's own, `distribution/kind` for all others.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
        """
        return self._answer(name).name

    def distribution(self, name: str) -> str:
        """The name of the distribution that provides a kind, `local` for this process. Imports no plugin.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
        """
        return self._answer(name).distribution

    def get(self, name: str) -> Kind:
        """The record of a kind; the first call for a kind imports its plugin, and no other.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
            PluginError: its plugin is broken.
        """
        answer = self._answer(name)
        if answer.entry is None:
            return self._local[answer.kind].kind
        if answer.name not in self._kinds:
            self._load(answer)
        return self._kinds[answer.name]

    def control(self, *, allow: Iterable[str] | None = None, block: Iterable[str] = (), strict: bool = False) -> None:
        """Decide which distributions may provide kinds, from now on and on top of what was decided before.

        Raises:
            PluginError: `strict` was asked for, and a plugin is broken.
        """
        self._policies.append(Policy.of(allow=allow, block=block, strict=strict, source="control_plugins"))
        self._answers = {}
        if strict:
            self._checked = False
            self._found()  # which checks

    def make_way_for_torch(self) -> None:
        """Import torch here and now if a distribution that cannot be read would make a plain `import torch` fail."""
        self._looked()
        if self._unreadable:
            import_torch_alone()

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
            self._answers = {}
        return before

    def remove_local(self, entry: LocalEntry, before: LocalEntry | None) -> None:
        """Take a local kind away and put `before` in its place; nothing, if it is not there any more."""
        name = entry.kind.name
        with self._lock:
            if self._local.get(name) is entry:
                del self._local[name]
                if before is not None:
                    self._local[name] = before
            self._answers = {}

    def _answer(self, name: str) -> Candidate:
        answers = self._answers  # a change puts another one in its place: none is written to that is out of date
        if not isinstance(name, str) or name not in answers:
            answers[name] = self.resolve(name).require()
        return answers[name]

    def _found(self) -> dict[str, list[EntryPoint]]:
        entries = self._looked()
        if not self._checked:
            self._check()
        return entries

    def _looked(self) -> dict[str, list[EntryPoint]]:
        with self._lock:
            if self._entries is None:
                self._policies.insert(0, Policy.from_environment())
                self._entries = self._look()
            return self._entries

    def _look(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for entry in self._find():
            if isinstance(entry, PluginError):
                self._unreadable.append(entry)
            elif not is_name(entry.name):
                self._misnamed.append(misnamed(entry))
            else:
                found.setdefault(entry.name, []).append(entry)
        return found

    def _installed(self, kind: str) -> list[Candidate]:
        """Who provides a kind, each distribution once: of two entry points of one name its first counts.

        Worked out for the kinds that are asked for only: with many plugins installed, that is most of the time.
        """
        first: dict[str, Candidate] = {}
        for entry in self._found().get(kind, []):
            each = candidate_of(entry)
            if is_distribution(each.distribution):
                first.setdefault(each.distribution, each)
        return list(first.values())

    def _check(self) -> None:
        """Raise the error of a broken plugin now if a policy is strict, and with every question until it is mended."""
        self._checked = True  # first, since plugins may ask the catalog something while they are loaded
        if not any(policy.strict for policy in self._policies):
            return
        try:
            for problem in self.problems():
                raise problem
            for provider in self.providers():
                if provider.status in ("not loaded", "broken"):
                    self._load(provider.candidate)
        except PluginError:
            self._checked = False
            raise

    def _load(self, candidate: Candidate) -> None:
        promised = {
            entry.name
            for entries in self._found().values()
            for entry in entries
            if entry.value == candidate.value and candidate_of(entry).distribution == candidate.distribution
        }
        from rnnkit.plugin import load_plugin  # with pluggy and pydantic, which no question but this one needs

        self.make_way_for_torch()
        try:
            kinds = load_plugin(candidate, promised)
        except PluginError as error:
            names = (canonical(candidate.distribution, kind) for kind in promised)
            self._broken |= {name: error.cause for name in names if name not in self._kinds}
            raise
        with self._lock:
            for kind in kinds:  # another thread may have been first: all see one record
                name = canonical(candidate.distribution, kind.name)
                self._kinds.setdefault(name, kind)
                self._broken.pop(name, None)

    def _provider(self, each: Candidate) -> Provider:
        if each.entry is None:
            return Provider(each, "loaded")
        for objection in filter(None, (policy.objection(each.distribution) for policy in self._policies)):
            return Provider(each, "blocked", objection)
        if each.name in self._broken:
            return Provider(each, "broken", self._broken[each.name])
        return Provider(each, "loaded" if each.name in self._kinds else "not loaded")


_catalogs: weakref.WeakSet[Catalog] = weakref.WeakSet()
_catalog = Catalog()


def _renew_locks() -> None:
    """In the child of a fork: whoever held a lock at that moment is not there to release it."""
    for catalog in _catalogs:
        catalog._lock = threading.Lock()  # noqa: SLF001  # of this very module


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_locks)


def current_catalog() -> Catalog:
    """The catalog that specs and `build_model` use: one per process, unless `using` has put another in its place."""
    return _catalog


@contextmanager
def using(catalog: Catalog) -> Iterator[Catalog]:
    """Put another catalog in place of the process's own until the block ends; for tests."""
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
    """
    return _catalog.get(name)


def resolve_kind(name: str) -> Resolution:
    """What a name stands for here and now, and why. Print it: it shows every provider, blocked and broken ones too.

    Never fails, and imports no plugin.
    """
    return _catalog.resolve(name)


def control_plugins(*, allow: Iterable[str] | None = None, block: Iterable[str] = (), strict: bool = False) -> None:
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
