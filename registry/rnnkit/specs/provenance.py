"""The provenance of kinds and readouts: the distributions that provide them, and their versions."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from rnnkit._messages import short_repr
from rnnkit._version import __version__
from rnnkit.catalog import LOCAL, OWN, Candidate, current_catalog, is_distribution, normalized

_VERSION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.!+_-]{0,126}[A-Za-z0-9])?")  # the limit is of messages


class DistributionPin(NamedTuple):
    """A distribution and its version; `str` returns the pip requirement, such as `rnnkit-nbrc==0.1.0`.

    Attributes:
        distribution: the normalized name.
        version: None: unknown.
    """

    distribution: str
    version: str | None

    def __str__(self) -> str:
        return self.distribution if self.version is None else f"{self.distribution}=={self.version}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a requirement such as `rnnkit-nbrc==0.1.0` or `rnnkit-nbrc`.

        Raises:
            ValueError: the text is not a name, or a name and a version.
        """
        name, equal, version = (part.strip() for part in text.partition("=="))
        if not is_distribution(normalized(name)) or (equal and not _VERSION.fullmatch(version)):
            raise ValueError(f"{short_repr(text)} is not a requirement such as 'rnnkit-nbrc==0.1.0'")
        return cls(normalized(name), version or None)


def plugin_of(kind: str) -> str | None:
    """Return the distribution that provides a kind, such as `rnnkit-nbrc==0.1.0`; None for a local kind.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError: the name does not resolve to a kind.
    """
    return _requirement(current_catalog().resolve(kind).require())


def readout_plugin_of(readout: str) -> str | None:
    """Return the third-party distribution that provides a readout; None for a local readout and rnnkit's own.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError: the name does not resolve to a readout.
    """
    candidate = current_catalog().readouts.resolve(readout).require()
    return None if candidate.distribution == OWN else _requirement(candidate)


def _requirement(candidate: Candidate) -> str | None:
    if candidate.distribution == LOCAL:
        return None
    if candidate.distribution == OWN:
        return str(DistributionPin(OWN, __version__))
    version = candidate.version if _VERSION.fullmatch(candidate.version) else None
    return str(DistributionPin(candidate.distribution, version))
