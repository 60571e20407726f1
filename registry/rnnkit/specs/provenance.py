"""Which version of which distribution provides a kind."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from rnnkit._version import __version__
from rnnkit.catalog import LOCAL, OWN, current_catalog, is_distribution, normalized

_VERSION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.!+_-]*[A-Za-z0-9])?")


class DistributionPin(NamedTuple):
    """A distribution in one version, whose text is what pip installs: `rnnkit-mgu==0.1.0`.

    Attributes:
        distribution: its normalised name.
        version: None: unknown.
    """

    distribution: str
    version: str | None

    def __str__(self) -> str:
        return self.distribution if self.version is None else f"{self.distribution}=={self.version}"

    @property
    def installation(self) -> str:
        """The command that installs it."""
        return f'pip install "{self}"'

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` wrote.

        Raises:
            ValueError: the text is nothing that pip could install by name and version.
        """
        name, equal, version = (part.strip() for part in text.partition("=="))
        if not is_distribution(normalized(name)) or (equal and not _VERSION.fullmatch(version)):
            raise ValueError(f"{text!r} is no name and version of a distribution, such as 'rnnkit-mgu==0.1.0'")
        return cls(normalized(name), version or None)


def plugin_of(kind: str) -> str | None:
    """Who provides a kind, as `rnnkit-mgu==0.1.0`; None for a local kind, which no distribution provides.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
    """
    candidate = current_catalog().resolve(kind).require()
    if candidate.distribution == LOCAL:
        return None
    if candidate.distribution == OWN:
        return str(DistributionPin(OWN, __version__))
    return str(
        DistributionPin(candidate.distribution, candidate.version if _VERSION.fullmatch(candidate.version) else None)
    )
