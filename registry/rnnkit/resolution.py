"""What a name was resolved to, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rnnkit.discovery import LOCAL, OWN, Candidate
from rnnkit.errors import AmbiguousKindError, BlockedKindError, PluginError, RnnkitError, UnknownKindError
from rnnkit.explain import did_you_mean
from rnnkit.policy import ALLOW, BLOCK

Status = Literal["not loaded", "loaded", "blocked", "broken"]


class Provider(NamedTuple):
    """Somebody who provides a kind, and what this process knows of it.

    Attributes:
        candidate: name, distribution, version, entry point.
        status: `not loaded`, `loaded`, `blocked` or `broken`.
        note: why it is blocked, or how it is broken.
    """

    candidate: Candidate
    status: Status
    note: str = ""

    def __str__(self) -> str:
        note = f", {self.note}" if self.note else ""
        return f"{self.candidate.name}: {self.candidate}, {self.status}{note}"


@dataclass(frozen=True)
class Resolution:
    """What a name stands for, here and now. Its text shows every provider that was looked at.

    Attributes:
        asked: the name that was asked for.
        providers: all who provide a kind of that name, blocked and broken ones included.
        chosen: the one that the name stands for; None: it stands for nothing.
        reason: why it is this one, or why there is none.
        error: what `require` raises where there is none.
    """

    asked: str
    providers: tuple[Provider, ...]
    chosen: Candidate | None
    reason: str
    error: type[RnnkitError] = UnknownKindError

    def require(self) -> Candidate:
        """The chosen one.

        Raises:
            UnknownKindError: nobody provides the kind.
            BlockedKindError: who provides it has been turned off.
            AmbiguousKindError: several provide it.
        """
        if self.chosen is None:
            raise self.error(self.reason)
        return self.chosen

    def __str__(self) -> str:
        stands_for = "nothing" if self.chosen is None else self.chosen.name
        return "\n".join([f"{self.asked} -> {stands_for}: {self.reason}", *(f"  {each}" for each in self.providers)])


def resolve(asked: str, providers: Sequence[Provider]) -> Resolution:
    """Choose among those who provide a kind, by the rules of precedence.

    rnnkit's own kinds come first, so that installing a package never changes what existing code builds; then
    what this process has registered itself; then a third party's, if it is the only one.

    Args:
        asked: the name, bare or with its distribution.
        providers: who provides a kind of that name: one at least.
    """
    contenders, reason = _first(asked, providers)
    usable = [each for each in contenders if each.status != "blocked"]
    if not usable:
        return Resolution(asked, tuple(providers), None, _blocked(asked, contenders), BlockedKindError)
    if len(usable) > 1:
        return Resolution(asked, tuple(providers), None, _ambiguous(asked, usable), AmbiguousKindError)
    return Resolution(asked, tuple(providers), usable[0].candidate, reason)


def _first(asked: str, providers: Sequence[Provider]) -> tuple[Sequence[Provider], str]:
    """Those who go before the others, and why; a blocked one keeps its place, so that blocking never redirects."""
    if "/" in asked:
        return providers, "it is named with its distribution"
    for distribution, reason in ((OWN, "rnnkit's own kinds come first"), (LOCAL, "this process has registered it")):
        if found := [each for each in providers if each.candidate.distribution == distribution]:
            return found, reason
    return providers, "all others are blocked" if len(providers) > 1 else "nobody else provides it"


def unknown(asked: str, names: Sequence[str], problems: Sequence[PluginError]) -> Resolution:
    """What a name stands for that nobody provides, where `names` can be had and `problems` are in the way."""
    return Resolution(asked, (), None, _unknown(asked, names, problems))


def _unknown(asked: str, names: Sequence[str], problems: Sequence[PluginError]) -> str:
    distribution, _, kind = asked.rpartition("/")
    if distribution == LOCAL:
        return (
            f"The local kind {kind!r} is not registered in this process. A local kind is known only where "
            "register_kind was called: call it here too, in a module that worker processes import as well, or make a "
            "plugin of it."
        )
    if not names:
        return (
            f"Kind {asked!r} cannot be found, because no kind is installed at all, not even rnnkit's own: their "
            "entry points are made when rnnkit is installed. Run `pip install rnnkit`, or in a checkout "
            "`pip install -e .`."
        )
    hint = did_you_mean(asked, [*names, *(name.rpartition("/")[2] for name in names)])
    installed = f"{hint} Installed kinds: {', '.join(names)}."
    if distribution:
        start = f"No kind {kind!r} of a distribution {distribution!r} is installed.{installed}"
        way_out = f"To use it, run `pip install {distribution}`."
    else:
        start = f"No installed plugin provides the kind {asked!r}.{installed}"
        way_out = "To use another, install the distribution that provides it."
    return " ".join([start, way_out, *map(str, problems)])


def _blocked(asked: str, providers: Sequence[Provider]) -> str:
    who = "; ".join(f"{each.candidate.distribution!r} is {each.note}" for each in providers)
    return f"The kind {asked!r} is installed, but turned off: the distribution {who}. Change that to use it."


def _ambiguous(asked: str, providers: Sequence[Provider]) -> str:
    who = ", ".join(f"{each.candidate.distribution} {each.candidate.version}" for each in providers)
    names = " or ".join(repr(each.candidate.name) for each in providers)
    return (
        f"The kind {asked!r} is provided by several distributions: {who}. Say which one you mean, {names}, "
        f"or turn the others off with {BLOCK} or {ALLOW}."
    )
