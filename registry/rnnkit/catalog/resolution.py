"""The resolution of a name to a provider, and its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rnnkit._messages import (
    MAX_LISTED,
    did_you_mean,
    first_lines,
    join_names,
    join_quoted,
    key_text,
    short_repr,
    shorten,
)
from rnnkit.catalog.discovery import KINDS, LOCAL, OWN, Candidate, Category, is_distribution, normalized
from rnnkit.catalog.policy import ALLOW, BLOCK
from rnnkit.errors import AmbiguousKindError, BlockedKindError, PluginError, RnnkitError, UnknownKindError

Status = Literal["not loaded", "loaded", "blocked", "broken", "hidden"]


class Provider(NamedTuple):
    """A provider of a kind, and what this process knows about it.

    Attributes:
        candidate: name, distribution, version, entry point.
        status: `not loaded`, `loaded`, `blocked`, `broken`, or `hidden` by another version of its distribution.
        note: why it is blocked, broken or hidden; or, once loaded, that the name is an old one or the kind deprecated.
    """

    candidate: Candidate
    status: Status
    note: str = ""

    def __str__(self) -> str:
        described = {"blocked": self.note, "hidden": self.note, "broken": f"broken: {self.note}"}
        status = described.get(self.status) or ", ".join(filter(None, [self.status, self.note]))
        return f"{self.candidate.name}: {self.candidate}, {status}"


@dataclass(frozen=True)
class Resolution:
    """The provider that a name stands for in this environment. Its text shows every provider that was considered.

    Attributes:
        asked: the name that was asked for.
        providers: all providers of that name, blocked, broken and hidden ones included.
        chosen: the provider that the name stands for; None if there is none.
        reason: why this one was chosen, or why none was.
        error: what `require` raises if there is none.
        old_name: the provider of the old name, if the name is an old name of the chosen kind.
    """

    asked: str
    providers: tuple[Provider, ...]
    chosen: Candidate | None
    reason: str
    error: type[RnnkitError] = UnknownKindError
    old_name: Candidate | None = None

    def renamed(self, new: Provider, note: str) -> Resolution:
        """The resolution to the kind of which the chosen name is an old name."""
        providers = (*self.providers, new)
        return Resolution(self.asked, providers, new.candidate, f"it is {note}", old_name=self.chosen)

    def require(self) -> Candidate:
        """The chosen provider.

        Raises:
            UnknownKindError: the kind is not installed.
            BlockedKindError: its provider is blocked.
            AmbiguousKindError: several distributions provide it.
        """
        if self.chosen is None:
            raise self.error(self.reason)
        return self.chosen

    def __str__(self) -> str:
        stands_for = "nothing" if self.chosen is None else self.chosen.name
        return "\n".join(
            [f"{key_text(self.asked)} -> {stands_for}: {self.reason}", *(f"  {each}" for each in self.providers)]
        )


def resolve(asked: str, providers: Sequence[Provider]) -> Resolution:
    """Choose among the providers of a name.

    rnnkit's own come first, so that installing a package never changes what existing code builds; then what this
    process registered itself; then a third party's, if it is the only one.

    Args:
        asked: the name, bare or with its distribution.
        providers: the providers of that name; at least one.
    """
    contenders, reason = _first(asked, providers)
    usable = [each for each in contenders if each.status != "blocked"]
    if not usable:
        return Resolution(asked, tuple(providers), None, _blocked(asked, contenders), BlockedKindError)
    if len(usable) > 1:
        return Resolution(asked, tuple(providers), None, _ambiguous(asked, usable), AmbiguousKindError)
    return Resolution(asked, tuple(providers), usable[0].candidate, reason)


def _first(asked: str, providers: Sequence[Provider]) -> tuple[Sequence[Provider], str]:
    """The providers that take precedence, and why. A blocked one keeps its place, so that blocking never redirects."""
    if "/" in asked:
        return providers, "it is named with its distribution"
    noun = providers[0].candidate.category.noun
    for distribution, reason in ((OWN, f"rnnkit's own {noun}s come first"), (LOCAL, "this process has registered it")):
        if found := [each for each in providers if each.candidate.distribution == distribution]:
            return found, reason
    return providers, "all others are blocked" if len(providers) > 1 else "it has no other provider"


def hidden_only(asked: str, hidden: Sequence[Provider]) -> Resolution:
    """The resolution of a name that only hidden entry points provide."""
    noun = hidden[0].candidate.category.noun
    providers = join_names((f"{each.candidate}, {each.note}" for each in hidden), "; ")
    fix = "Remove the version that is left over, or install the distribution again"
    return Resolution(asked, (), None, f"The {noun} {short_repr(asked)} is installed but hidden: {providers}. {fix}.")


def unknown(
    asked: str, everything: Sequence[Provider], problems: Sequence[PluginError], category: Category = KINDS
) -> Resolution:
    """The resolution of a name without a provider. `problems` may be why."""
    causes = first_lines(map(str, problems), "problem")
    message = " ".join([_unknown(shorten(asked, 200), everything, category.noun), *causes])
    return Resolution(asked, (), None, message)


def _unknown(asked: str, everything: Sequence[Provider], noun: str) -> str:
    distribution, slash, kind = asked.rpartition("/")
    usable = [each.candidate for each in everything if each.status != "blocked"]
    if distribution == LOCAL:
        return (
            f"The local {noun} {kind!r} is not registered in this process. A local {noun} is known only where "
            f"register_{noun} was called: call it here too, in a module that worker processes also import, or make a "
            "plugin of it."
        )
    if not everything:
        return (
            f"The {noun} {asked!r} was not found, because no {noun} is installed at all, not even rnnkit's own: their "
            "entry points are created when rnnkit is installed. Run `pip install rnnkit`, or in a checkout "
            "`pip install -e .`."
        )
    same = [each.bare_name for each in usable if each.distribution == normalized(distribution)]
    if same:
        return (
            f"The distribution {normalized(distribution)!r} has no {noun} {kind!r}.{did_you_mean(kind, same)} "
            f"It provides {join_quoted(sorted(same))}."
        )
    names = sorted(each.name for each in usable)
    hint = did_you_mean(asked, [*names, *(each.bare_name for each in usable)])
    installed = f"{hint} {_installed(names, noun)}"
    if slash and is_distribution(normalized(distribution)):
        return (
            f"No distribution {distribution!r} with a {noun} {kind!r} is installed.{installed} To use it, run "
            f"`pip install {distribution}`."
        )
    fix = "To use another, install the distribution that provides it."
    return f"No installed plugin provides the {noun} {asked!r}.{installed} {fix}"


def _installed(names: Sequence[str], noun: str) -> str:
    if noun == KINDS.noun and len(names) > MAX_LISTED:
        return f"{len(names):,} kinds are installed: `list_kinds()` and `rnnkit list` show them."
    return f"Installed {noun}s: {join_names(names) or 'none that is not blocked'}."


def _blocked(asked: str, providers: Sequence[Provider]) -> str:
    noun = providers[0].candidate.category.noun
    reasons = join_names(
        (f"the distribution {each.candidate.distribution!r} is {each.note}" for each in providers), "; "
    )
    return f"The {noun} {short_repr(asked)} is installed but blocked: {reasons}. Change that to use it."


def _ambiguous(asked: str, providers: Sequence[Provider]) -> str:
    noun = providers[0].candidate.category.noun
    owners = join_names(f"{each.candidate.distribution} {each.candidate.version}" for each in providers)
    names = join_names((repr(each.candidate.name) for each in providers), " or ")
    return (
        f"The {noun} {short_repr(asked)} is provided by several distributions: {owners}. Use a full name, {names}, "
        f"or block the others with {BLOCK} or {ALLOW}."
    )
