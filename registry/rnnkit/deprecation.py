"""Renamed and deprecated kinds."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass

from rnnkit._messages import short_repr
from rnnkit.errors import DeprecatedKindWarning

# A warning points at the user's line, which called these.
_INNER = {"rnnkit", "rnnkit_builtin", "pydantic", "dataclasses"}


@dataclass(frozen=True, kw_only=True)
class KindAlias:
    """The old name of a renamed kind; passed to `register` in place of a `Kind`.

    The old name keeps its entry point. A spec created with it holds the new name, and warns.

    Attributes:
        name: the old name.
        kind: the new name: a kind of the same distribution, not an old name itself.
        since: the version of the distribution in which the kind was renamed.
        removal: the version that removes the old name; empty if not decided.

    Raises:
        TypeError: a version is not a string, or `since` is empty.
    """

    name: str
    kind: str
    since: str
    removal: str = ""

    def __post_init__(self) -> None:
        _check_texts(self, required="since", optional=("removal",))


@dataclass(frozen=True, kw_only=True)
class Deprecation:
    """A kind that will be removed, or replaced by another one that is not the same.

    The kind is built as before; creating a spec of it warns.

    Attributes:
        since: the version of the distribution in which the kind was deprecated.
        instead: the name of the kind to use instead; empty if there is none.
        removal: the version that removes the kind; empty if not decided.

    Raises:
        TypeError: one of them is not a string, or `since` is empty.
    """

    since: str
    instead: str = ""
    removal: str = ""

    def __post_init__(self) -> None:
        _check_texts(self, required="since", optional=("instead", "removal"))


def note_of_alias(alias: KindAlias, full_name: str, distribution: str) -> str:
    """A short description of an old name.

    Args:
        alias: the old name.
        full_name: the canonical new name.
        distribution: the distribution of both.
    """
    return f"an old name of {full_name!r} since {distribution} {alias.since}{_end(alias.removal)}"


def note_of_deprecation(deprecation: Deprecation, distribution: str) -> str:
    """A short description of a deprecated kind."""
    return f"deprecated since {distribution} {deprecation.since}{_end(deprecation.removal)}"


def warn_of_kind(message: str) -> None:
    """Warn at the user's line that named a kind; do nothing if the message is empty."""
    if message:
        warn_user(message, DeprecatedKindWarning)


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the user's line that called rnnkit."""
    warnings.warn(message, category, stacklevel=_level_of_the_user())


def _end(removal: str) -> str:
    return f", and will be removed in {removal}" if removal else ""


def _level_of_the_user() -> int:
    """The stack level at which the user called rnnkit, as seen by the caller of this function."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _INNER:
        frame, level = frame.f_back, level + 1
    return level


def _check_texts(record: KindAlias | Deprecation, *, required: str, optional: tuple[str, ...]) -> None:
    for name in (required, *optional):
        value = getattr(record, name)
        if not isinstance(value, str) or (name == required and not value):
            owner = type(record).__name__
            raise TypeError(f"{name} of a {owner} should be a string such as '0.3', but is {short_repr(value)}")
