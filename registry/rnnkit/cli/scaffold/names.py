"""What the parts of a new plugin are called, all of it from the name of its distribution and the kind."""

from __future__ import annotations

from typing import NamedTuple

from rnnkit.catalog import canonical, normalized


class Names(NamedTuple):
    """What the parts of a plugin are called.

    Attributes:
        distribution: as it was typed.
        kind: the bare name, which is the entry point's too.
    """

    distribution: str
    kind: str

    @property
    def module(self) -> str:
        """The file without its suffix."""
        return module_of(self.distribution)

    @property
    def full_kind(self) -> str:
        """The name of the kind that stays unambiguous whatever else is installed."""
        return canonical(normalized(self.distribution), self.kind)

    @property
    def class_prefix(self) -> str:
        """What its classes begin with: `my_kind` gives `MyKind`, of which come `MyKindCell` and `MyKindOptions`."""
        return "".join(word[:1].upper() + word[1:] for word in self.kind.split("_"))


def names_of(distribution: str, kind: str | None = None) -> Names:
    """The names of a plugin, whose kind is called as its distribution is, unless another is named."""
    return Names(distribution, kind_of(distribution) if kind is None else kind)


def module_of(distribution: str) -> str:
    """The module of a distribution: its normalised name, with underscores."""
    return normalized(distribution).replace("-", "_")


def kind_of(distribution: str) -> str:
    """The kind that a distribution provides unless another is named: its module's name without a leading `rnnkit_`."""
    return module_of(distribution).removeprefix("rnnkit_")
