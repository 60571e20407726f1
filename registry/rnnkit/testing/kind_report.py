"""What came of putting every promise to a kind."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from rnnkit.testing.check import Check, CheckFailedError

Outcome = Literal["passed", "failed", "not applicable"]
_WIDTH = 100
_NAMES = 34  # columns of the longest name of a promise
_MARKS = {"passed": "passed", "failed": "FAILED", "not applicable": "n/a"}


@dataclass(frozen=True)
class CheckResult:
    """What came of putting one promise to a kind.

    Attributes:
        promise: which one.
        outcome: `passed`, `failed` or `not applicable`.
        reason: what is wrong, or why it is not applicable; empty: it is kept.
        figures: what was measured, by name: how many cases there were, the largest difference, and so on.
        left_out: what the kind refuses, and so was not tried.
        error: what was raised, if it failed.
    """

    check: Check
    outcome: Outcome
    reason: str = ""
    figures: Mapping[str, float | int | str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    error: BaseException | None = field(default=None, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "check": self.check.name,
            "tier": self.check.tier,
            "text": self.check.text,
            "outcome": self.outcome,
            "reason": self.reason,
            "figures": {name: _plain(value) for name, value in self.figures.items()},
            "left_out": list(self.left_out),
        }

    def text(self, width: int = _WIDTH) -> str:
        """As lines of a table of a width."""
        line = f"  {_MARKS[self.outcome]:<6}  {self.check.name:<{_NAMES}}  "
        if self.outcome == "passed":
            space = " " * len(line)
            return (
                textwrap.fill(_figures(self.figures), width, initial_indent=line, subsequent_indent=space)
                or line.rstrip()
            )
        return f"{line.rstrip()}\n{_indented(self.explanation, width)}"

    @property
    def explanation(self) -> str:
        """What is wrong and what the usual cause is; or why it is not applicable."""
        if self.outcome != "failed":
            return self.reason
        usual = f"\nUsually: {self.check.cause}" if self.check.cause else ""
        return f"{self.check.text}\n{self.reason}{usual}"


@dataclass(frozen=True)
class KindReport:
    """What came of putting promises to a kind; its text is a table. What is not applicable is what the kind cannot do.

    Attributes:
        kind: the canonical name of the kind.
        plugin: who provides it, as `rnnkit-mgu==0.1.0`; None: this process.
        versions: of rnnkit and torch.
        results: of each promise, in their order.
    """

    kind: str
    plugin: str | None
    versions: Mapping[str, str]
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> tuple[CheckResult, ...]:
        """The promises that are kept."""
        return self._with("passed")

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The promises that are broken."""
        return self._with("failed")

    @property
    def not_applicable(self) -> tuple[CheckResult, ...]:
        """The promises that say nothing about this kind, because of what it cannot do."""
        return self._with("not applicable")

    def __getitem__(self, name: str) -> CheckResult:
        """The result of the promise of a name.

        Raises:
            KeyError: it was not put to the kind.
        """
        for each in self.results:
            if each.check.name == name:
                return each
        raise KeyError(name)

    def require(self) -> None:
        """Raise `CheckFailedError`, with all that is wrong, if a promise is broken."""
        if self.failed:
            names = ", ".join(each.check.name for each in self.failed)
            raise CheckFailedError(f"The kind {self.kind!r} breaks {names}:\n{self}")

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "kind": self.kind,
            "plugin": self.plugin,
            "versions": dict(self.versions),
            "results": [each.to_dict() for each in self.results],
        }

    def text(self, width: int = _WIDTH) -> str:
        """A table of a width, tier after tier, and what the kind refuses."""
        lines = [self._heading()]
        for tier, results in groupby(self.results, key=lambda each: each.check.tier):
            lines += [f"\n{tier}", *(each.text(width) for each in results)]
        refused = dict.fromkeys(each for result in self.results for each in result.left_out)
        if refused:
            lines.append("\nrefused by the kind, and so not tried")
            lines += [_indented(each, width, 2) for each in refused]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def _heading(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        counts = f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.not_applicable)} not applicable"
        return f"{self.kind} ({self.plugin or 'of this process'}) with {versions}\n{counts}"

    def _with(self, outcome: Outcome) -> tuple[CheckResult, ...]:
        return tuple(each for each in self.results if each.outcome == outcome)


def _plain(value: float | str) -> float | int | str:
    """As JSON has it, which has no infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _figures(figures: Mapping[str, float | int | str]) -> str:
    return ", ".join(_figure(name, value) for name, value in figures.items())


def _figure(name: str, value: float | str) -> str:
    if name == "cases":
        return f"{value} case{'s' * (value != 1)}"
    return f"{name} {value:.2g}" if isinstance(value, float) else f"{name} {value}"


def _indented(text: str, width: int, spaces: int = 10) -> str:
    space = " " * spaces
    lines = (
        textwrap.fill(line, width, initial_indent=space, subsequent_indent=f"{space}  ", break_long_words=False)
        for line in text.splitlines()
    )
    return "\n".join(lines)
