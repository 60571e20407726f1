"""The records of loaded plugins, and why other plugins could not be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnkit.catalog.discovery import KINDS, Candidate, canonical
from rnnkit.catalog.resolution import Provider
from rnnkit.errors import PluginError

if TYPE_CHECKING:
    import pluggy

    from rnnkit.catalog.loader import LoadedPlugin
    from rnnkit.catalog.reload import Reference
    from rnnkit.deprecation import KindAlias
    from rnnkit.kind import Kind


class Records:
    """The records of loaded plugins, by canonical name.

    Attributes:
        records: kinds, readouts or commands.
        aliases: old names of kinds.
        managers: the hooks of the plugin that registered a record.
        references: the classes and functions of that plugin.
        broken: the cause, where a plugin could not be loaded.
    """

    def __init__(self) -> None:
        self.records: dict[str, Any] = {}
        self.aliases: dict[str, KindAlias] = {}
        self.managers: dict[str, pluggy.PluginManager] = {}
        self.references: dict[str, tuple[Reference, ...]] = {}
        self.broken: dict[str, str] = {}

    def add(self, distribution: str, plugin: LoadedPlugin) -> None:
        """Add what a plugin provides; if another thread was faster, its records stay."""
        from rnnkit.deprecation import KindAlias

        for bare, record in plugin.records.items():
            name = canonical(distribution, bare)
            if isinstance(record, KindAlias):
                self.aliases.setdefault(name, record)
            else:
                self.records.setdefault(name, record)
                self.managers.setdefault(name, plugin.manager)
                self.references.setdefault(name, plugin.references)
            self.broken.pop(name, None)

    def outdated(self, name: str) -> list[Reference]:
        """Return the references of a record whose modules have other objects by now, because they were loaded again."""
        return [each for each in self.references.get(name, ()) if not each.is_current()]

    def forget(self, name: str) -> None:
        """Remove all records of the plugin that registered one."""
        manager = self.managers.get(name)
        for each in [other for other, its in self.managers.items() if its is manager]:
            for of_name in (self.records, self.managers, self.references):
                of_name.pop(each, None)

    def add_broken(self, distribution: str, names: set[str], error: PluginError) -> None:
        """Remember why a plugin could not be loaded, for those of its names that are not loaded already."""
        full_names = {canonical(distribution, name) for name in names} - self.records.keys() - self.aliases.keys()
        self.broken |= dict.fromkeys(full_names, error.cause)

    def provider(self, candidate: Candidate) -> Provider:
        """The provider that is known for an installed candidate."""
        name = candidate.name
        if name in self.broken:
            return Provider(candidate, "broken", self.broken[name])
        if name in self.records or name in self.aliases:
            return Provider(candidate, "loaded", self.note(candidate))
        return Provider(candidate, "not loaded")

    def note(self, candidate: Candidate) -> str:
        """Says that a name is an old one, or its kind deprecated; empty if neither is known."""
        name, distribution = candidate.name, candidate.distribution
        if name in self.aliases:
            from rnnkit.deprecation import note_of_alias  # late, here and below: hardly ever needed

            alias = self.aliases[name]
            return note_of_alias(alias, canonical(distribution, alias.kind), distribution)
        return deprecation_note(self.records.get(name), distribution) if candidate.category == KINDS else ""


def deprecation_note(kind: Kind | None, distribution: str) -> str:
    """Says that a kind is deprecated; empty if it is not, as far as is known."""
    if kind is None or kind.deprecated is None:
        return ""
    from rnnkit.deprecation import note_of_deprecation

    return note_of_deprecation(kind.deprecated, distribution)
