"""Finds the entry points of installed plugins, without importing any of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import NamedTuple

from rnnkit.errors import PluginError

GROUP = "rnnkit"
OWN = "rnnkit"  # the distribution whose kinds go by their bare names
LOCAL = "local"  # stands in the place of a distribution for kinds that this process registered itself
UNKNOWN = "unknown"  # stands for a distribution without a name
_DISTRIBUTION = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NAME = re.compile(r"[^\s/]+")


class Candidate(NamedTuple):
    """Something that provides a kind.

    Attributes:
        kind: the bare name.
        distribution: the normalised name of the distribution that provides it; `local` for this process itself.
        value: what its entry point leads to; of a local kind, its builder.
        entry: the entry point; None for a local kind.
    """

    kind: str
    distribution: str
    value: str
    entry: EntryPoint | None = None

    @property
    def name(self) -> str:
        """The canonical name of the kind: bare for rnnkit's own, `distribution/kind` for all others."""
        return canonical(self.distribution, self.kind)

    def matches(self, pattern: str) -> bool:
        """Whether a shell would take its name, with the distribution or without, for one of the pattern."""
        return any(fnmatchcase(name, pattern) for name in (self.name, self.kind, f"{self.distribution}/{self.kind}"))

    @property
    def version(self) -> str:
        """The version of the distribution, read from its metadata."""
        try:
            version = self.entry.dist.version if self.entry is not None and self.entry.dist is not None else None
        except Exception:  # noqa: BLE001  # whatever is wrong with its metadata, this is not what was asked for
            version = None
        return version or "of unknown version"

    def __str__(self) -> str:
        if self.entry is None:
            return f"{self.value} (registered by this process)"
        return f"{self.value} (distribution {self.distribution} {self.version}, entry point {self.kind!r})"


def installed_entry_points() -> Iterator[EntryPoint | PluginError]:
    """The entry points of rnnkit's group, and an error for each distribution that cannot be read."""
    try:
        yield from entry_points(group=GROUP)
    except Exception:  # noqa: BLE001  # one distribution that cannot be read must not hide all others
        yield from _one_by_one()


def candidate_of(entry: EntryPoint) -> Candidate:
    """What an entry point promises."""
    return Candidate(entry.name, _name(entry.dist), entry.value, entry)


def misnamed_error(entry: EntryPoint) -> PluginError:
    """What to say of an entry point whose name no kind can have."""
    return PluginError(
        f"The distribution {_name(entry.dist)!r} has an entry point named {entry.name!r} (= {entry.value!r}) in the "
        f"group {GROUP!r}. The name is the kind: it must not be empty nor have spaces or slashes. Mend it there, or "
        f"remove it with `pip uninstall {_name(entry.dist)}`."
    )


def is_name(kind: object) -> bool:
    """Whether a bare name can be that of a kind: something, without spaces and slashes."""
    return type(kind) is str and _NAME.fullmatch(kind) is not None


def is_distribution(name: str) -> bool:
    """Whether a normalised name can be that of a distribution; what an interrupted pip leaves behind cannot."""
    return _DISTRIBUTION.fullmatch(name) is not None


def canonical(distribution: str, kind: str) -> str:
    """The name of a kind that stays unambiguous whatever else is installed."""
    return kind if distribution == OWN else f"{distribution}/{kind}"


def normalized(distribution: str) -> str:
    """The one form of a distribution's name, as package indexes write it: lower case, dashes."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _one_by_one() -> Iterator[EntryPoint | PluginError]:
    """As `entry_points` does it, the first distribution of a name counts, but one that is broken only itself."""
    seen = set()
    for distribution in distributions():
        name = _name(distribution)
        if name in seen:
            continue
        if name == UNKNOWN:  # says nothing of being the same
            folder = getattr(distribution, "_path", distribution.locate_file(""))
            yield PluginError(f"The folder {folder} does not have the name of a distribution. Remove it.")
            continue
        seen.add(name)
        try:
            yield from distribution.entry_points.select(group=GROUP)
        except UnicodeDecodeError as error:
            yield _unreadable(name, distribution, f"its entry_points.txt is not UTF-8 ({error.reason})")
        except Exception:  # noqa: BLE001  # Python's versions differ in what they raise
            yield _unreadable(name, distribution, "its entry_points.txt has a line that is not `name = value`")


def _name(distribution: Distribution | None) -> str:
    """The normalised name, from the name of the folder: reading the metadata of each takes several times as long."""
    try:
        from_folder: str | None = getattr(distribution, "_normalized_name", None)
        if from_folder:
            return from_folder.replace("_", "-")
        return normalized((distribution and distribution.metadata["Name"]) or UNKNOWN)
    except Exception:  # noqa: BLE001  # a folder without a name, metadata that cannot be read
        return UNKNOWN


def _unreadable(name: str, distribution: Distribution, cause: str) -> PluginError:
    error = PluginError(
        f"The distribution {name!r} in {distribution.locate_file('')} cannot be read: {cause}. Install it again, or "
        "remove it."
    )
    error.cause = cause
    return error


def entry_points_by_distribution() -> dict[str, list[EntryPoint]]:
    """The entry points of each distribution that has some, by its name."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in installed_entry_points():
        if isinstance(entry, EntryPoint) and is_name(entry.name):
            found.setdefault(candidate_of(entry).distribution, []).append(entry)
    return {name: entries for name, entries in sorted(found.items()) if is_distribution(name)}
