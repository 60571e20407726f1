"""How a plugin takes leave of a kind: under another name it stays, or it goes away."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass

from rnnkit.errors import DeprecatedKindWarning

# Whose lines no warning points at: the user's own are those that called them.
_INNER = {"rnnkit", "rnnkit_builtin", "pydantic", "dataclasses"}


@dataclass(frozen=True, kw_only=True)
class KindAlias:
    """The old name of a kind that has a new one; given to `register` in the place of a `Kind`.

    The old name keeps its entry point. A spec that is made with it is one of the new name, and warns.

    Attributes:
        name: the old name.
        kind: the new name: that of a kind of the same distribution, and no old name itself.
        since: the version of the distribution in which the kind was renamed.
        removal: the version in which the old name goes away; empty: it is not known yet.

    Raises:
        TypeError: a version is no string, or `since` is empty.
    """

    name: str
    kind: str
    since: str
    removal: str = ""

    def __post_init__(self) -> None:
        _check_texts(self, required="since", optional=("removal",))


@dataclass(frozen=True, kw_only=True)
class Deprecation:
    """That a kind goes away, or that another one, which is not the same, takes its place.

    The kind is built as ever; a spec that is made of it warns.

    Attributes:
        since: the version of the distribution that says so first.
        instead: the kind to use, as a spec is to name it; empty: there is none.
        removal: the version in which the kind goes away; empty: it is not known yet.

    Raises:
        TypeError: one of them is no string, or `since` is empty.
    """

    since: str
    instead: str = ""
    removal: str = ""

    def __post_init__(self) -> None:
        _check_texts(self, required="since", optional=("instead", "removal"))


def note_of_alias(alias: KindAlias, full_name: str, distribution: str) -> str:
    """What an old name is, in a few words.

    Args:
        alias: the old name.
        full_name: the new one, with its distribution.
        distribution: which provides both.
    """
    return f"an old name of {full_name!r} since {distribution} {alias.since}{_end(alias.removal)}"


def note_of_deprecation(deprecation: Deprecation, distribution: str) -> str:
    """What a deprecated kind is, in a few words."""
    return f"deprecated since {distribution} {deprecation.since}{_end(deprecation.removal)}"


def warn_of_kind(message: str) -> None:
    """Warn at the line of the user's that named a kind; nothing, if the message is empty."""
    if message:
        warnings.warn(message, DeprecatedKindWarning, stacklevel=_level_of_the_user())


def _end(removal: str) -> str:
    return f", and goes away with {removal}" if removal else ""


def _level_of_the_user() -> int:
    """How far up the stack somebody called rnnkit, seen from the function that called this one."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _INNER:
        frame, level = frame.f_back, level + 1
    return level


def _check_texts(record: KindAlias | Deprecation, *, required: str, optional: tuple[str, ...]) -> None:
    for name in (required, *optional):
        value = getattr(record, name)
        if not isinstance(value, str) or (name == required and not value):
            raise TypeError(f"{name} of a {type(record).__name__} should be a text such as '0.3', but is {value!r}")
