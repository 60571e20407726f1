"""What the plugins that have been loaded provide, and what was wrong with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnkit.catalog.discovery import Candidate, canonical
from rnnkit.catalog.resolution import Provider
from rnnkit.errors import PluginError

if TYPE_CHECKING:
    from rnnkit.catalog.hook_validation import AfterBuild
    from rnnkit.catalog.loader import LoadedPlugin
    from rnnkit.deprecation import KindAlias
    from rnnkit.kind import Kind


class Records:
    """What loaded plugins provide, by the canonical names of their entry points.

    Attributes:
        kinds: their kinds.
        aliases: their old names.
        after_build: the hooks of that name, by the kinds of the plugins that have them.
        broken: what was wrong when a plugin could not be loaded.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {}
        self.aliases: dict[str, KindAlias] = {}
        self.after_build: dict[str, AfterBuild] = {}
        self.broken: dict[str, str] = {}

    def take(self, distribution: str, plugin: LoadedPlugin) -> None:
        """Take what a plugin provides; another thread may have been first: all see one record."""
        for alias in plugin.aliases:
            name = canonical(distribution, alias.name)
            self.aliases.setdefault(name, alias)
            self.broken.pop(name, None)
        for kind in plugin.kinds:
            name = canonical(distribution, kind.name)
            self.kinds.setdefault(name, kind)
            self.broken.pop(name, None)
            if plugin.after_build is not None:
                self.after_build.setdefault(name, plugin.after_build)

    def refuse(self, distribution: str, names: set[str], error: PluginError) -> None:
        """Note what is wrong with a plugin, under those of its names that have not been had before."""
        full_names = {canonical(distribution, name) for name in names} - self.kinds.keys() - self.aliases.keys()
        self.broken |= dict.fromkeys(full_names, error.cause)

    def provider(self, candidate: Candidate) -> Provider:
        """What is known of an installed kind."""
        name = candidate.name
        if name in self.broken:
            return Provider(candidate, "broken", self.broken[name])
        if name in self.kinds or name in self.aliases:
            return Provider(candidate, "loaded", self.note(candidate))
        return Provider(candidate, "not loaded")

    def note(self, candidate: Candidate) -> str:
        """That a name is an old one, or its kind deprecated; empty: neither, as far as is known."""
        name, distribution = candidate.name, candidate.distribution
        if name in self.aliases:
            from rnnkit.deprecation import note_of_alias  # here and below: next to never needed

            alias = self.aliases[name]
            return note_of_alias(alias, canonical(distribution, alias.kind), distribution)
        return note_of_kind(self.kinds.get(name), distribution)


def note_of_kind(kind: Kind | None, distribution: str) -> str:
    """That a kind is deprecated; empty: it is not, as far as is known."""
    if kind is None or kind.deprecated is None:
        return ""
    from rnnkit.deprecation import note_of_deprecation

    return note_of_deprecation(kind.deprecated, distribution)
