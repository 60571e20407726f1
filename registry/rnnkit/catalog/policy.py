"""Which distributions may provide kinds: decided by name, before anything of theirs is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from rnnkit.catalog.discovery import OWN, normalized

ALLOW, BLOCK, STRICT = "RNNKIT_ALLOW_PLUGINS", "RNNKIT_BLOCK_PLUGINS", "RNNKIT_STRICT_PLUGINS"
ENVIRONMENT = "the environment"


@dataclass(frozen=True)
class Policy:
    """One rule over distributions.

    Attributes:
        allow: the only third-party distributions that may provide kinds; None: all may. rnnkit's own kinds need not be
            named.
        block: distributions that may not, rnnkit's own included.
        strict: a broken plugin is an error at the first look into the catalog, and not only when its kind is asked
            for; this loads every plugin.
        source: where the rule was made, for messages.
    """

    allow: frozenset[str] | None
    block: frozenset[str]
    strict: bool
    source: str

    @classmethod
    def of(cls, *, allow: Iterable[str] | None, block: Iterable[str], strict: bool, source: str) -> Policy:
        return cls(None if allow is None else _names(allow), _names(block), strict, source)

    @classmethod
    def from_environment(cls) -> Policy:
        """The rule of the environment variables; one that is empty counts as not set."""
        allow, block = (re.split(r"[\s,]+", os.environ.get(name, "").strip(" ,")) for name in (ALLOW, BLOCK))
        strict = os.environ.get(STRICT, "").lower() not in ("", "0", "false", "no")
        return cls.of(allow=allow if any(allow) else None, block=block, strict=strict, source=ENVIRONMENT)

    def objection(self, distribution: str) -> str | None:
        """Why a distribution may not provide kinds; None if it may."""
        if distribution in self.block:
            return f"blocked by {self._named(BLOCK, 'block')}"
        if self.allow is not None and distribution != OWN and distribution not in self.allow:
            return f"not among those allowed by {self._named(ALLOW, 'allow')}"
        return None

    def _named(self, variable: str, argument: str) -> str:
        return variable if self.source == ENVIRONMENT else f"{self.source}({argument}=...)"


def _names(distributions: Iterable[str]) -> frozenset[str]:
    distributions = [distributions] if isinstance(distributions, str) else distributions
    return frozenset(normalized(name) for name in distributions if name)
