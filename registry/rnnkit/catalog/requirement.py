"""Whether this rnnkit is one that a plugin's distribution asks for, by its metadata alone."""

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


class Unmet(NamedTuple):
    """A version that a distribution asks for, and that this rnnkit is not.

    Attributes:
        needed: as pip reads it: `rnnkit>=0.3`.
        too_old: whether it is a later one.
    """

    needed: str
    too_old: bool


def unmet_requirement(entry: EntryPoint | None) -> Unmet | None:
    """What the distribution of an entry point asks of rnnkit and does not get; None: nothing, as far as can be read."""
    for versions in _versions_asked_for(entry):
        if not versions.contains(__version__, prereleases=True):
            return Unmet(f"{OWN}{versions}", too_old=_is_too_old(versions))
    return None


def _versions_asked_for(entry: EntryPoint | None) -> Iterator[SpecifierSet]:
    for line in _lines(entry):
        with suppress(InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
            requirement = Requirement(line)
            marker = requirement.marker
            if canonicalize_name(requirement.name) == OWN and (marker is None or marker.evaluate({"extra": ""})):
                yield requirement.specifier


def _lines(entry: EntryPoint | None) -> list[str]:
    if entry is None or entry.dist is None:
        return []
    try:
        return entry.dist.requires or []
    except Exception:  # noqa: BLE001  # metadata that cannot be read ask for nothing
        return []


def _is_too_old(versions: SpecifierSet) -> bool:
    """Whether one of the versions that are asked for is later than this one."""
    named = (each.version.removesuffix(".*") for each in versions if each.operator in _LOWER_BOUNDS)
    return any(Version(version) > Version(__version__) for version in named)
