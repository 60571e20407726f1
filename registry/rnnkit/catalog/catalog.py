"""The catalog of installed kinds: which there are, what a name stands for, and which plugin to load for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from rnnkit.catalog.discovery import COMMANDS, EXECUTORS, KINDS, READOUTS, TASKS, installed_entry_points
from rnnkit.catalog.index import Find, Index
from rnnkit.catalog.policy import Policies, Policy
from rnnkit.catalog.resolution import Resolution
from rnnkit.deprecation import KindAlias, warn_of_kind

if TYPE_CHECKING:
    import pluggy

    from rnnkit.catalog.registration import RegisteredHooks
    from rnnkit.kind import Kind
    from rnnkit.model import Readout


class Catalog(Index):
    """The kinds of one environment, and those that this process registered itself.

    Args:
        find: returns the entry points to know, and an error for each distribution that cannot be read; called once,
            at the first question. The default reads every installed distribution.
        allow: the only third-party distributions that may provide kinds; None: all may.
        block: distributions that may not.
        strict: whether a broken plugin is an error at the first question. Loads every plugin.

    The environment variables `RNNKIT_ALLOW_PLUGINS`, `RNNKIT_BLOCK_PLUGINS` and `RNNKIT_STRICT_PLUGINS` are read at
    the first question, and hold as well.

    Attributes:
        readouts: the readouts of the environment.
        commands: the subcommands that plugins add to `rnnkit`.
        executors: the executors of plans.
        tasks: the tasks of comparisons.
        indexes: the kinds, readouts, commands, executors and tasks, by the noun of their category.
    """

    def __init__(
        self,
        find: Find = installed_entry_points,
        *,
        allow: Iterable[str] | None = None,
        block: Iterable[str] = (),
        strict: bool = False,
    ) -> None:
        policies = Policies(Policy.of(allow=allow, block=block, strict=strict, source="Catalog"))
        installed = cache(lambda: tuple(installed_entry_points()))  # one scan serves all categories
        super().__init__(KINDS, installed if find is installed_entry_points else find, policies)
        self.readouts = Index(READOUTS, installed, policies)
        self.commands = Index(COMMANDS, installed, policies)
        self.executors = Index(EXECUTORS, installed, policies)
        self.tasks = Index(TASKS, installed, policies)
        others = (self.readouts, self.commands, self.executors, self.tasks)
        self.indexes: dict[str, Index] = {index.category.noun: index for index in (self, *others)}
        self._user_hooks: tuple[RegisteredHooks, ...] = ()

    if TYPE_CHECKING:

        def get(self, name: str) -> Kind: ...

    def current_name(self, name: str) -> str:
        """The canonical name, once the plugin of the kind has been imported, which knows whether the name is old.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
            PluginError: its plugin is broken.
        """
        return self._ensure_loaded(name).name

    def alias_message(self, name: str) -> str:
        """The warning about a name that is known to be an old one; empty if it is not."""
        resolution = self._resolve_cached(name)
        if resolution.old_name is None:
            return ""
        new = resolution.require().name
        return f"The kind {name!r} is {self._note(resolution.old_name)}: write {new!r} instead"

    def deprecation(self, name: str) -> str:
        """The warning about a deprecated kind; empty if it is not deprecated. Imports its plugin.

        Raises:
            UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
            PluginError: its plugin is broken.
        """
        deprecated = self.get(name).deprecated
        if deprecated is None:
            return ""
        chosen = self._resolve_cached(name).require()
        instead = f"use {deprecated.instead!r} instead" if deprecated.instead else "it has no replacement"
        return f"The kind {chosen.name!r} is {self._note(chosen)}: {instead}"

    def aliases_of(self, name: str) -> list[str]:
        """The old names of a kind, as far as the plugins that have been loaded say so."""
        chosen = self.canonical(name)
        old_names = [name for name, record in tuple(self._records.items()) if isinstance(record, KindAlias)]
        return [old for old in old_names if self.canonical(old) == chosen]

    def hook_managers(self, name: str) -> list[pluggy.PluginManager]:
        """The hooks that concern a kind: those of its plugin, then those that the user registered, in their order."""
        own = self._managers.get(self.canonical(name))
        return [*([] if own is None else [own]), *(hooks.manager for hooks in self._user_hooks)]

    def add_hooks(self, hooks: RegisteredHooks) -> bool:
        """Add hooks of the user; False if the same object is registered already."""
        with self._lock:
            new = all(each.owner is not hooks.owner for each in self._user_hooks)
            if new:
                self._user_hooks = (*self._user_hooks, hooks)
        return new

    def remove_hooks(self, hooks: RegisteredHooks) -> None:
        """Remove hooks of the user; does nothing if they have been removed already."""
        with self._lock:
            self._user_hooks = tuple(each for each in self._user_hooks if each is not hooks)

    def set_policy(
        self, *, allow: Iterable[str] | None = None, block: Iterable[str] = (), strict: bool = False
    ) -> None:
        """Add a rule about which distributions may provide kinds.

        Raises:
            PluginError: `strict`, and a plugin is broken.
        """
        self._policies.add(Policy.of(allow=allow, block=block, strict=strict, source="set_plugin_policy"))
        for index in reversed(self.indexes.values()):
            index.policies_changed(strict=strict and index is not self.commands)


_catalog = Catalog()


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
    """The names of the installed kinds, sorted; `list_kinds("*lstm*")` returns those that match, as in a shell.

    rnnkit's own kinds have bare names, a third party's are `distribution/kind`. Blocked kinds are left out. Imports
    neither torch nor any plugin.
    """
    return _catalog.names(pattern)


def list_readouts(pattern: str | None = None) -> list[str]:
    """The names of the installed readouts, sorted, as `list_kinds` lists kinds."""
    return _catalog.readouts.names(pattern)


def list_executors(pattern: str | None = None) -> list[str]:
    """The names of the installed executors, sorted, as `list_kinds` lists kinds."""
    return _catalog.executors.names(pattern)


def list_tasks(pattern: str | None = None) -> list[str]:
    """The names of the installed tasks, sorted, as `list_kinds` lists kinds."""
    return _catalog.tasks.names(pattern)


def get_kind(name: str) -> Kind:
    """The record of a kind. The first call for a kind imports its plugin, and no other.

    Raises:
        UnknownKindError: the kind is not installed; the message lists what is, and close matches.
        BlockedKindError: the distribution that provides it is blocked.
        AmbiguousKindError: several third parties provide it; the message has their full names to choose from.
        PluginError: its plugin is broken.

    Warns:
        DeprecatedKindWarning: the name is an old one; the record is that of the new name.
    """
    kind = _catalog.get(name)
    warn_of_kind(_catalog.alias_message(name))
    return kind


def get_readout(name: str) -> type[Readout]:
    """The class of a readout. The first call for a readout imports its plugin, and no other.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no readout.
        PluginError: its plugin is broken.
    """
    readout: type[Readout] = _catalog.readouts.get(name)
    return readout


def resolve_kind(name: str) -> Resolution:
    """The provider that a name stands for, and why. Print it to see every provider, blocked and broken ones too.

    Never fails, and imports no plugin.
    """
    return _catalog.resolve(name)


def set_plugin_policy(*, allow: Iterable[str] | None = None, block: Iterable[str] = (), strict: bool = False) -> None:
    """Choose which distributions may provide kinds and readouts, before anything of theirs is imported.

    Holds in this process from now on, on top of the environment variables `RNNKIT_ALLOW_PLUGINS`,
    `RNNKIT_BLOCK_PLUGINS` and `RNNKIT_STRICT_PLUGINS` and of earlier calls: a distribution must pass all of them.
    A plugin that has been imported already stays imported, but provides no kind any more.

    Args:
        allow: the only third-party distributions that may provide kinds; None: all may. rnnkit is always allowed.
        block: distributions that may not; naming rnnkit blocks its own kinds.
        strict: load every plugin that is not blocked now, and raise the error of the first that is broken.

    Raises:
        PluginError: `strict`, and a plugin is broken.
    """
    _catalog.set_policy(allow=allow, block=block, strict=strict)
