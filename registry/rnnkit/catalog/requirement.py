"""Checks, from metadata alone, whether a plugin's distribution supports this version of rnnkit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from rnnkit._version import __version__
from rnnkit.catalog.discovery import OWN


def unmet_requirement(entry: EntryPoint | None) -> str:
    """The requirement of its distribution, `rnnkit>=0.3`, that rnnkit does not meet; empty if there is none."""
    unmet = (each for each in _required_versions(entry) if not each.contains(__version__, prereleases=True))
    return next((f"{OWN}{versions}" for versions in unmet), "")


def _required_versions(entry: EntryPoint | None) -> Iterator[SpecifierSet]:
    for line in _requirements(entry):
        with suppress(InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
            requirement = Requirement(line)
            marker = requirement.marker
            if canonicalize_name(requirement.name) == OWN and (marker is None or marker.evaluate({"extra": ""})):
                yield requirement.specifier


def _requirements(entry: EntryPoint | None) -> list[str]:
    if entry is None or entry.dist is None:
        return []
    try:
        return entry.dist.requires or []
    except Exception:  # noqa: BLE001  # unreadable metadata require nothing
        return []
