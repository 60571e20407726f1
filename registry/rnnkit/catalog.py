"""What knows the installed kinds: discovery without an import, and loading of the one plugin that is asked for."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from importlib.metadata import EntryPoint, entry_points

import pluggy

from rnnkit import hookspecs
from rnnkit.errors import PluginError, UnknownKindError
from rnnkit.kind import Kind

GROUP = "rnnkit"


def _installed_entry_points() -> Iterable[EntryPoint]:
    return entry_points(group=GROUP)


class Catalog:
    """The kinds of one environment.

    Args:
        find: returns the entry points to know; called once, when the first question is asked. The default
            finds those of every installed distribution.

    Safe to share between threads. No plugin is imported while the catalog's lock is held: that would
    deadlock with another thread that holds Python's import lock and asks the catalog something.
    """

    def __init__(self, find: Callable[[], Iterable[EntryPoint]] = _installed_entry_points) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._found: dict[str, EntryPoint] | None = None
        self._kinds: dict[str, Kind] = {}

    def names(self, pattern: str | None = None) -> list[str]:
        """The names of the installed kinds, sorted; with `pattern`, those that match it as a shell would.

        Imports no plugin.
        """
        return sorted(name for name in self._entries() if pattern is None or fnmatchcase(name, pattern))

    def distribution(self, name: str) -> str:
        """The name of the distribution that provides a kind. Imports no plugin.

        Raises:
            UnknownKindError: nobody provides it.
        """
        return _distribution(self._entry(name))

    def get(self, name: str) -> Kind:
        """The record of a kind; the first call for a kind imports its plugin, and no other.

        Raises:
            UnknownKindError: nobody provides it.
            PluginError: its plugin does not keep the contract of plugins.
        """
        if name not in self._kinds:
            kinds = _loaded(self._entry(name), self._entries())
            with self._lock:
                for kind in kinds:  # another thread may have been first: all see one record
                    self._kinds.setdefault(kind.name, kind)
        return self._kinds[name]

    def _entries(self) -> dict[str, EntryPoint]:
        with self._lock:
            if self._found is None:
                self._found = {entry.name: entry for entry in self._find()}
            return self._found

    def _entry(self, name: str) -> EntryPoint:
        entries = self._entries()
        if name not in entries:
            raise UnknownKindError(_unknown(name, sorted(entries)))
        return entries[name]


def _loaded(entry: EntryPoint, entries: dict[str, EntryPoint]) -> list[Kind]:
    try:
        return _load(entry, entries)
    except PluginError:
        raise
    except Exception as error:  # whatever a plugin raises is its own; a ValueError would pass for a wrong spec
        raise PluginError(
            f"The plugin {entry.value!r} of the distribution {_distribution(entry)!r}, which provides the kind "
            f"{entry.name!r}, cannot be loaded: {error!r}"
        ) from error


def _load(entry: EntryPoint, entries: dict[str, EntryPoint]) -> list[Kind]:
    """Import the plugin behind an entry point and take the kinds that its hook registers.

    A manager of its own for each plugin: what one plugin gets wrong cannot stay behind in another's.
    """
    plugin = entry.load()
    manager = pluggy.PluginManager("rnnkit")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name=f"{_distribution(entry)}:{entry.value}")
    kinds: list[Kind] = []
    manager.hook.register_kinds(register=kinds.append)
    promised = {name for name, other in entries.items() if other.value == entry.value}
    registered = {kind.name for kind in kinds}
    if entry.name not in registered or not registered <= promised:
        raise PluginError(_wrong_names(entry, promised, registered))
    return kinds


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "unknown"


def _wrong_names(entry: EntryPoint, promised: set[str], registered: set[str]) -> str:
    return (
        f"The plugin {entry.value!r} of the distribution {_distribution(entry)!r} has entry points for the kinds "
        f"{sorted(promised)}, but its hook `register_kinds` registered {sorted(registered)}. Register one Kind for "
        "each entry point, under its name, in a function marked with `rnnkit.hookimpl`."
    )


def _unknown(name: str, names: list[str]) -> str:
    if not names:
        return (
            f"Kind {name!r} cannot be found, because no kind is installed at all, not even rnnkit's own: their "
            "entry points are made when rnnkit is installed. Run `pip install rnnkit`, or in a checkout "
            "`pip install -e .`."
        )
    return (
        f"No installed plugin provides the kind {name!r}.{did_you_mean(name, names)} "
        f"Installed kinds: {', '.join(names)}. To use another, install the distribution that provides it."
    )


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`" Did you mean 'lstm'?"`, or an empty string where nothing is close."""
    close = difflib.get_close_matches(word, list(words), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


_catalog = Catalog()


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

    Imports neither torch nor any plugin.
    """
    return _catalog.names(pattern)


def get_kind(name: str) -> Kind:
    """The record of an installed kind. The first call for a kind imports its plugin, and no other.

    Raises:
        UnknownKindError: nobody provides it; the message says what is installed and what you may have meant.
        PluginError: its plugin does not keep the contract of plugins.
    """
    return _catalog.get(name)
