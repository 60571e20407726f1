"""What a name was resolved to, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rnnkit._messages import did_you_mean, join_quoted
from rnnkit.catalog.discovery import LOCAL, OWN, Candidate, is_distribution, normalized
from rnnkit.catalog.policy import ALLOW, BLOCK
from rnnkit.errors import AmbiguousKindError, BlockedKindError, PluginError, RnnkitError, UnknownKindError

Status = Literal["not loaded", "loaded", "blocked", "broken"]


class Provider(NamedTuple):
    """Somebody who provides a kind, and what this process knows of it.

    Attributes:
        candidate: name, distribution, version, entry point.
        status: `not loaded`, `loaded`, `blocked` or `broken`.
        note: why it is blocked, how it is broken, or, once it is loaded, that it is an old name or deprecated.
    """

    candidate: Candidate
    status: Status
    note: str = ""

    def __str__(self) -> str:
        told = {"blocked": self.note, "broken": f"broken: {self.note}"}
        status = told.get(self.status) or ", ".join(filter(None, [self.status, self.note]))
        return f"{self.candidate.name}: {self.candidate}, {status}"


@dataclass(frozen=True)
class Resolution:
    """What a name stands for, here and now. Its text shows every provider that was looked at.

    Attributes:
        asked: the name that was asked for.
        providers: all who provide a kind of that name, blocked and broken ones included.
        chosen: the one that the name stands for; None: it stands for nothing.
        reason: why it is this one, or why there is none.
        error: what `require` raises where there is none.
        old_name: who has the name that was asked for, where that is known to be an old one of the chosen kind.
    """

    asked: str
    providers: tuple[Provider, ...]
    chosen: Candidate | None
    reason: str
    error: type[RnnkitError] = UnknownKindError
    old_name: Candidate | None = None

    def renamed(self, new: Provider, note: str) -> Resolution:
        """The same with the kind that the chosen one is an old name of."""
        providers = (*self.providers, new)
        return Resolution(self.asked, providers, new.candidate, f"it is {note}", old_name=self.chosen)

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


def unknown(asked: str, everything: Sequence[Provider], problems: Sequence[PluginError]) -> Resolution:
    """What a name stands for that nobody provides, among all providers, where `problems` may be in the way."""
    message = " ".join([_unknown(asked, everything), *map(str, problems)])
    return Resolution(asked, (), None, message)


def _unknown(asked: str, everything: Sequence[Provider]) -> str:
    distribution, slash, kind = asked.rpartition("/")
    usable = [each.candidate for each in everything if each.status != "blocked"]
    if distribution == LOCAL:
        return (
            f"The local kind {kind!r} is not registered in this process. A local kind is known only where "
            "register_kind was called: call it here too, in a module that worker processes import as well, or make a "
            "plugin of it."
        )
    if not everything:
        return (
            f"Kind {asked!r} cannot be found, because no kind is installed at all, not even rnnkit's own: their "
            "entry points are made when rnnkit is installed. Run `pip install rnnkit`, or in a checkout "
            "`pip install -e .`."
        )
    same = [each.kind for each in usable if each.distribution == normalized(distribution)]
    if same:
        return (
            f"The distribution {normalized(distribution)!r} provides no kind {kind!r}.{did_you_mean(kind, same)} "
            f"It provides {join_quoted(sorted(same))}."
        )
    names = sorted(each.name for each in usable)
    hint = did_you_mean(asked, [*names, *(each.kind for each in usable)])
    installed = f"{hint} Installed kinds: {', '.join(names) or 'none that is not turned off'}."
    if slash and is_distribution(normalized(distribution)):
        return (
            f"No distribution {distribution!r} with a kind {kind!r} is installed.{installed} To use it, run "
            f"`pip install {distribution}`."
        )
    way_out = "To use another, install the distribution that provides it."
    return f"No installed plugin provides the kind {asked!r}.{installed} {way_out}"


def _blocked(asked: str, providers: Sequence[Provider]) -> str:
    who = "; ".join(f"the distribution {each.candidate.distribution!r} is {each.note}" for each in providers)
    return f"The kind {asked!r} is installed, but turned off: {who}. Change that to use it."


def _ambiguous(asked: str, providers: Sequence[Provider]) -> str:
    who = ", ".join(f"{each.candidate.distribution} {each.candidate.version}" for each in providers)
    names = " or ".join(repr(each.candidate.name) for each in providers)
    return (
        f"The kind {asked!r} is provided by several distributions: {who}. Say which one you mean, {names}, "
        f"or turn the others off with {BLOCK} or {ALLOW}."
    )
