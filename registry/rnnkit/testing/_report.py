"""The results of the checks of one kind."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from rnnkit._messages import join_names
from rnnkit.testing._check import Check, CheckFailedError

Outcome = Literal["passed", "failed", "not applicable"]
_WIDTH = 100
_NAMES = 34  # columns of the longest name of a check
_MARKS = {"passed": "passed", "failed": "FAILED", "not applicable": "n/a"}


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes:
        check: the check.
        outcome: `passed`, `failed` or `not applicable`.
        reason: why the check failed or is not applicable; empty if it passed.
        figures: measured values by name: the number of cases, the largest difference and so on.
        left_out: the configurations that the kind rejects, which were not tried.
        warnings: findings that are not failures.
        error: the exception, if there was one.
    """

    check: Check
    outcome: Outcome
    reason: str = ""
    figures: Mapping[str, float | int | str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: BaseException | None = field(default=None, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return {
            "check": self.check.name,
            "tier": self.check.tier,
            "text": self.check.text,
            "outcome": self.outcome,
            "reason": self.reason,
            "figures": {name: _to_json_value(value) for name, value in self.figures.items()},
            "left_out": list(self.left_out),
        }

    def text(self, width: int = _WIDTH) -> str:
        """As lines of a table, at most `width` columns wide."""
        line = f"  {_MARKS[self.outcome]:<6}  {self.check.name:<{_NAMES}}  "
        if self.outcome == "passed":
            figures = ", ".join(_format_figure(name, value) for name, value in self.figures.items())
            space = " " * len(line)
            return textwrap.fill(figures, width, initial_indent=line, subsequent_indent=space) or line.rstrip()
        return f"{line.rstrip()}\n{_indented(self.explanation, width)}"

    @property
    def explanation(self) -> str:
        """The reason; for a failed check also its text and the usual cause."""
        if self.outcome != "failed":
            return self.reason
        usual = f"\nUsually: {self.check.cause}" if self.check.cause else ""
        return f"{self.check.text}\n{self.reason}{usual}"


@dataclass(frozen=True)
class KindReport:
    """The results of all checks of a kind; printed, a table.

    Attributes:
        kind: the canonical name of the kind.
        plugin: the distribution that provides the kind, as `rnnkit-nbrc==0.1.0`; None: registered in this process.
        versions: the versions of rnnkit and torch.
        seed: the seed of the sizes that some checks draw at random.
        results: one for each check, in order.
    """

    kind: str
    plugin: str | None
    versions: Mapping[str, str]
    seed: int
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> tuple[CheckResult, ...]:
        """The checks that passed."""
        return self._filter("passed")

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return self._filter("failed")

    @property
    def not_applicable(self) -> tuple[CheckResult, ...]:
        """The checks that do not apply, because the kind does not support the feature."""
        return self._filter("not applicable")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Findings that are not failures, each with the name of its check."""
        return tuple(f"{result.check.name}: {each}" for result in self.results for each in result.warnings)

    def __getitem__(self, name: str) -> CheckResult:
        """The result of the check of this name.

        Raises:
            KeyError: the check was not run.
        """
        return {each.check.name: each for each in self.results}[name]

    def require(self) -> None:
        """Raise `CheckFailedError` with the whole report if a check failed."""
        if self.failed:
            names = join_names(each.check.name for each in self.failed)
            raise CheckFailedError(f"Kind {self.kind!r} fails {names}:\n{self}")

    def to_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return {
            "kind": self.kind,
            "plugin": self.plugin,
            "versions": dict(self.versions),
            "seed": self.seed,
            "warnings": list(self.warnings),
            "results": [each.to_dict() for each in self.results],
        }

    def text(self, width: int = _WIDTH) -> str:
        """A table grouped by tier, at most `width` columns wide, and the configurations that the kind rejects."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        counts = f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.not_applicable)} not applicable"
        lines = [f"{self.kind} ({self.plugin or 'registered in this process'}) with {versions}\n{counts}"]
        if any("seed" in each.figures for each in self.results):
            lines.append(f"sizes drawn with seed {self.seed}: --seed {self.seed}, or seed={self.seed}, repeats them")
        lines += [textwrap.fill(f"warning: {each}", width) for each in self.warnings]
        for tier, results in groupby(self.results, key=lambda each: each.check.tier):
            lines += [f"\n{tier}", *(each.text(width) for each in results)]
        rejected = dict.fromkeys(each for result in self.results for each in result.left_out)
        if rejected:
            lines.append("\nrejected by the kind, not tried")
            lines += [_indented(each, width, 2) for each in rejected]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def _filter(self, outcome: Outcome) -> tuple[CheckResult, ...]:
        return tuple(each for each in self.results if each.outcome == outcome)


def _to_json_value(value: float | str) -> float | int | str:
    """JSON has neither infinity nor NaN."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _format_figure(name: str, value: float | str) -> str:
    if name == "cases":
        return f"{value} case{'s' * (value != 1)}"
    return f"{name} {value:.2g}" if isinstance(value, float) else f"{name} {value}"


def _indented(text: str, width: int, spaces: int = 10) -> str:
    space = " " * spaces
    wrapper = textwrap.TextWrapper(width, initial_indent=space, subsequent_indent=f"{space}  ", break_long_words=False)
    return "\n".join(wrapper.fill(line) for line in text.splitlines())
