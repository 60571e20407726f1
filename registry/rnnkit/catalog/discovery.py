"""Finds the entry points of installed plugins without importing any of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import NamedTuple

from rnnkit._messages import end_sentence
from rnnkit.errors import PluginError

OWN = "rnnkit"  # the distribution whose kinds have bare names
LOCAL = "local"  # in place of a distribution, for what this process registered itself
UNKNOWN = "unknown"  # a distribution without a name
_DISTRIBUTION = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NAME = re.compile(r"[^\s/]+")


class Category(NamedTuple):
    """Something that plugins provide by name.

    Attributes:
        noun: how messages call it.
        group: the entry-point group; the name of an entry point is the name of what it provides.
        hook: the hook that registers it.
    """

    noun: str
    group: str
    hook: str


KINDS = Category("kind", "rnnkit", "register_kinds")
READOUTS = Category("readout", "rnnkit.readouts", "register_readouts")
COMMANDS = Category("command", "rnnkit.commands", "register_commands")
EXECUTORS = Category("executor", "rnnkit.executors", "register_executors")
TASKS = Category("task", "rnnkit.tasks", "register_tasks")
CATEGORIES = {category.group: category for category in (KINDS, READOUTS, COMMANDS, EXECUTORS, TASKS)}


class Candidate(NamedTuple):
    """A provider of a kind, or of something else in a `Category`.

    Attributes:
        bare_name: the name without the distribution.
        distribution: the normalized name of the distribution that provides it; `local` for this process.
        value: the reference of its entry point, `module` or `module:object`; for a local kind, its builder.
        entry: the entry point; None if local.
        category: what it provides.
    """

    bare_name: str
    distribution: str
    value: str
    entry: EntryPoint | None = None
    category: Category = KINDS

    @property
    def name(self) -> str:
        """The canonical name: bare for rnnkit's own, `distribution/kind` for all others."""
        return canonical(self.distribution, self.bare_name)

    def matches(self, pattern: str) -> bool:
        """True if its name, with or without the distribution, matches a shell-style pattern."""
        names = (self.name, self.bare_name, f"{self.distribution}/{self.bare_name}")
        return any(fnmatchcase(name, pattern) for name in names)

    @property
    def version(self) -> str:
        """The version of the distribution, read from its metadata."""
        try:
            version = self.entry.dist.version if self.entry is not None and self.entry.dist is not None else None
        except Exception:  # noqa: BLE001  # metadata may be broken in any way; only the version is unknown then
            version = None
        return version or "of unknown version"

    def __str__(self) -> str:
        if self.entry is None:
            return f"{self.value} (registered by this process)"
        return f"{self.value} (distribution {self.distribution} {self.version}, entry point {self.bare_name!r})"


class HiddenEntryPoint(NamedTuple):
    """An entry point of a distribution that another version of the same distribution hides.

    Attributes:
        entry: the entry point.
        note: the folders of both versions.
    """

    entry: EntryPoint
    note: str


def installed_entry_points() -> Iterator[EntryPoint | HiddenEntryPoint | PluginError]:
    """The entry points of all categories, and an error for each distribution that cannot be read.

    As in `importlib.metadata.entry_points`, the first distribution of a name counts; here an unreadable one hides only
    itself.
    """
    first: dict[str, Distribution] = {}
    for distribution in distributions():
        name = _name(distribution)
        if name == UNKNOWN:
            yield PluginError(
                f"The folder {_folder(distribution)} does not have the name of a distribution. Remove it."
            )
        elif name in first:
            yield from _hidden_entry_points(distribution, first[name])
        else:
            first[name] = distribution
            yield from _entry_points(name, distribution)


def candidate_of(entry: EntryPoint) -> Candidate:
    """The candidate of an entry point."""
    return Candidate(entry.name, _name(entry.dist), entry.value, entry, CATEGORIES.get(entry.group, KINDS))


def misnamed_error(entry: EntryPoint) -> PluginError:
    """The error of an entry point whose name cannot be the name of a kind."""
    distribution, noun = _name(entry.dist), candidate_of(entry).category.noun
    return PluginError(
        f"The distribution {distribution!r} has an entry point named {entry.name!r} (= {entry.value!r}) in the "
        f"group {entry.group!r}. The name is the name of the {noun}: it must not be empty or contain spaces or "
        f"slashes. Fix it there, or remove it with `pip uninstall {distribution}`."
    )


def is_name(kind: object) -> bool:
    """True if `kind` can be a bare name: a string that is not empty, without spaces and slashes."""
    return type(kind) is str and _NAME.fullmatch(kind) is not None


def is_distribution(name: str) -> bool:
    """True if a normalized name can be that of a distribution; leftovers of an interrupted pip cannot."""
    return _DISTRIBUTION.fullmatch(name) is not None


def canonical(distribution: str, kind: str) -> str:
    """The name that is unambiguous whatever else is installed."""
    return kind if distribution == OWN else f"{distribution}/{kind}"


def normalized(distribution: str) -> str:
    """The name of a distribution as package indexes write it: lower case, dashes."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def candidates_by_distribution() -> dict[str, list[Candidate]]:
    """The candidates of each distribution that has some, by its name."""
    found: dict[str, list[Candidate]] = {}
    for entry in installed_entry_points():
        # not `isinstance(entry, EntryPoint)`: once `importlib_metadata` is imported, entry points are of its own class
        if not isinstance(entry, HiddenEntryPoint | PluginError) and is_name(entry.name):
            candidate = candidate_of(entry)
            found.setdefault(candidate.distribution, []).append(candidate)
    return {name: candidates for name, candidates in sorted(found.items()) if is_distribution(name)}


def _entry_points(name: str, distribution: Distribution) -> Iterator[EntryPoint | PluginError]:
    try:
        yield from _read(distribution)
    except UnicodeDecodeError as error:
        yield _unreadable_error(name, distribution, f"its entry_points.txt is not UTF-8 ({error.reason})")
    except Exception:  # noqa: BLE001  # Python's versions differ in what they raise
        yield _unreadable_error(name, distribution, "its entry_points.txt has a line that is not `name = value`")


def _hidden_entry_points(distribution: Distribution, first: Distribution) -> Iterator[HiddenEntryPoint]:
    """The entry points that a distribution has, but not the version that comes first."""
    with suppress(Exception):  # an unreadable file has no entry points that could be named
        known = {(entry.group, entry.name) for entry in _read(first)}
        note = f"in {_folder(distribution)}, is hidden by {_folder(first)}, which comes first and does not provide it"
        for entry in _read(distribution):
            if (entry.group, entry.name) not in known:
                yield HiddenEntryPoint(entry, note)


def _read(distribution: Distribution) -> list[EntryPoint]:
    return [entry for entry in distribution.entry_points if entry.group in CATEGORIES]


def _folder(distribution: Distribution) -> object:
    return getattr(distribution, "_path", distribution.locate_file(""))


def _name(distribution: Distribution | None) -> str:
    """The normalized name, from the name of the folder where possible: reading metadata takes several times as long."""
    try:
        from_folder: str | None = getattr(distribution, "_normalized_name", None)
        if from_folder:
            return from_folder.replace("_", "-")
        return normalized((distribution and distribution.metadata["Name"]) or UNKNOWN)
    except Exception:  # noqa: BLE001  # a folder without a name, or unreadable metadata
        return UNKNOWN


def _unreadable_error(name: str, distribution: Distribution, cause: str) -> PluginError:
    error = PluginError(
        f"The distribution {name!r} in {distribution.locate_file('')} cannot be read: {end_sentence(cause)} Install it "
        "again, or remove it."
    )
    error.cause = cause
    return error
