"""What is installed, as distributions rather than kinds. Imports no plugin."""

from __future__ import annotations

from importlib.metadata import EntryPoint

from rnnkit.discovery import candidate_of, installed_entry_points, is_distribution, is_name


def plugins() -> dict[str, list[EntryPoint]]:
    """The entry points of each distribution that has some, by its name."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in installed_entry_points():
        if isinstance(entry, EntryPoint) and is_name(entry.name):
            found.setdefault(candidate_of(entry).distribution, []).append(entry)
    return {name: entries for name, entries in sorted(found.items()) if is_distribution(name)}
