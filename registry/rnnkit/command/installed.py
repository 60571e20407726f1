"""What is installed, as distributions rather than kinds. Imports no plugin."""

from __future__ import annotations

from importlib.metadata import EntryPoint

from rnnkit.discovery import candidate_of, installed_entry_points, is_distribution, is_name, misnamed
from rnnkit.errors import PluginError


def plugins() -> dict[str, list[EntryPoint]]:
    """The entry points of each distribution that has some, by its name."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in installed_entry_points():
        if isinstance(entry, EntryPoint) and is_name(entry.name):
            found.setdefault(candidate_of(entry).distribution, []).append(entry)
    return {name: entries for name, entries in sorted(found.items()) if is_distribution(name)}


def unreadable() -> list[PluginError]:
    """What is wrong with distributions and entry points that cannot even be listed."""
    found = [
        misnamed(each) if isinstance(each, EntryPoint) and not is_name(each.name) else each
        for each in installed_entry_points()
    ]
    return [each for each in found if isinstance(each, PluginError)]
