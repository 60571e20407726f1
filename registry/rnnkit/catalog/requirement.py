"""Checks, from metadata alone, whether a plugin's distribution supports this version of rnnkit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint
from typing import NamedTuple

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from rnnkit._version import __version__
from rnnkit.catalog.discovery import OWN

_LOWER_BOUNDS = (">=", ">", "~=", "==")


class UnmetRequirement(NamedTuple):
    """A requirement of a distribution that the installed rnnkit does not meet.

    Attributes:
        needed: the requirement, `rnnkit>=0.3`.
        too_old: whether a later rnnkit would meet it.
    """

    needed: str
    too_old: bool


def unmet_requirement(entry: EntryPoint | None) -> UnmetRequirement | None:
    """The unmet requirement of the distribution of an entry point; None if there is none, or it cannot be read."""
    for versions in _required_versions(entry):
        if not versions.contains(__version__, prereleases=True):
            return UnmetRequirement(f"{OWN}{versions}", too_old=_is_too_old(versions))
    return None


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


def _is_too_old(versions: SpecifierSet) -> bool:
    """True if one of the required versions is later than this one."""
    named = (each.version.removesuffix(".*") for each in versions if each.operator in _LOWER_BOUNDS)
    return any(Version(version) > Version(__version__) for version in named)
