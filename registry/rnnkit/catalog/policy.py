"""Decides which distributions may provide kinds, by name, before anything of theirs is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from rnnkit.catalog.discovery import OWN, normalized

ALLOW, BLOCK, STRICT = "RNNKIT_ALLOW_PLUGINS", "RNNKIT_BLOCK_PLUGINS", "RNNKIT_STRICT_PLUGINS"
ENVIRONMENT = "the environment"


@dataclass(frozen=True)
class Policy:
    """One rule over distributions.

    Attributes:
        allow: the only third-party distributions that may provide kinds; None allows all. rnnkit itself is always
            allowed.
        block: distributions that may not, rnnkit itself included.
        strict: whether a broken plugin is an error at the first use of the catalog instead of when its kind is asked
            for. Loads every plugin.
        source: where the rule was set, for messages.
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
        """The rule of the environment variables; an empty one counts as not set."""
        allow, block = (re.split(r"[\s,]+", os.environ.get(name, "").strip(" ,")) for name in (ALLOW, BLOCK))
        strict = os.environ.get(STRICT, "").lower() not in ("", "0", "false", "no")
        return cls.of(allow=allow if any(allow) else None, block=block, strict=strict, source=ENVIRONMENT)

    def objection(self, distribution: str) -> str | None:
        """The reason why a distribution is blocked; None if it is not."""
        if distribution in self.block:
            return f"blocked by {self._setting(BLOCK, 'block')}"
        if self.allow is not None and distribution != OWN and distribution not in self.allow:
            return f"not among those allowed by {self._setting(ALLOW, 'allow')}"
        return None

    def _setting(self, variable: str, argument: str) -> str:
        return variable if self.source == ENVIRONMENT else f"{self.source}({argument}=...)"


class Policies:
    """All rules that hold for a catalog: a distribution must pass each of them."""

    def __init__(self, first: Policy) -> None:
        self._rules = [first]

    def add(self, policy: Policy) -> None:
        self._rules.append(policy)

    @property
    def strict(self) -> bool:
        return any(rule.strict for rule in self._all())

    def objection(self, distribution: str) -> str | None:
        """The first reason why a distribution is blocked; None if it is not."""
        return next(filter(None, (rule.objection(distribution) for rule in self._all())), None)

    def _all(self) -> list[Policy]:
        return [self._environment, *self._rules]

    @cached_property
    def _environment(self) -> Policy:
        return Policy.from_environment()  # read at the first use, not at import


def _names(distributions: Iterable[str]) -> frozenset[str]:
    distributions = [distributions] if isinstance(distributions, str) else distributions
    return frozenset(normalized(name) for name in distributions if name)
