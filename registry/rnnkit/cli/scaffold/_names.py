"""Names of the parts of a new plugin, derived from the names of its distribution and its kind."""

from __future__ import annotations

from typing import NamedTuple

from rnnkit.catalog import canonical, normalized


class Names(NamedTuple):
    """Names of the parts of a plugin.

    Attributes:
        distribution: name of the distribution, as it was typed.
        kind: bare name of the kind, and name of the entry point.
    """

    distribution: str
    kind: str

    @property
    def module(self) -> str:
        return module_of(self.distribution)

    @property
    def full_kind(self) -> str:
        """Canonical name of the kind."""
        return canonical(normalized(self.distribution), self.kind)

    @property
    def class_prefix(self) -> str:
        """Prefix of its classes: `MyKind` for `my_kind`, as in `MyKindCell` and `MyKindOptions`."""
        return "".join(word[:1].upper() + word[1:] for word in self.kind.split("_"))


def names_of(distribution: str, kind: str | None = None) -> Names:
    """Return the names of a plugin; the default of `kind` is the module name without a leading `rnnkit_`."""
    return Names(distribution, module_of(distribution).removeprefix("rnnkit_") if kind is None else kind)


def module_of(distribution: str) -> str:
    """Return the module name of a distribution: its normalized name with underscores."""
    return normalized(distribution).replace("-", "_")
