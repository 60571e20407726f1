"""The registry of checks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from rnnkit._messages import did_you_mean
from rnnkit.errors import RnnkitError

if TYPE_CHECKING:
    from rnnkit.testing._context import CheckContext

Tier = Literal["registration", "shape and state", "numerics", "training", "systems"]


class Check(NamedTuple):
    """A conformance check.

    Attributes:
        name: its name in tests, reports and expected failures.
        tier: the group of checks that it belongs to.
        text: what it verifies, in one sentence.
        cause: the usual cause of a failure.
        function: runs the check.
    """

    name: str
    tier: Tier
    text: str
    cause: str
    function: Callable[[CheckContext], None]


class CheckFailedError(RnnkitError, AssertionError):
    """A kind fails a conformance check."""


class NotApplicableError(Exception):
    """A check does not apply to a kind, because the kind does not support the feature."""


_checks: list[Check] = []


def check(tier: Tier) -> Callable[[Callable[[CheckContext], None]], Callable[[CheckContext], None]]:
    """Register a function as a check: its docstring is the text, then after an empty line the usual cause."""

    def decorate(function: Callable[[CheckContext], None]) -> Callable[[CheckContext], None]:
        text, _, cause = (inspect.getdoc(function) or "").partition("\n\n")
        _checks.append(Check(function.__name__, tier, " ".join(text.split()), " ".join(cause.split()), function))
        return function

    return decorate


def all_checks() -> tuple[Check, ...]:
    """All checks, sorted by tier."""
    from rnnkit.testing import checks

    for module in iter_modules(checks.__path__, f"{checks.__name__}."):
        import_module(module.name)
    return tuple(sorted(_checks, key=_position))


def _position(check: Check) -> tuple[int, str]:
    """The sort key, which does not depend on the order of imports."""
    return get_args(Tier).index(check.tier), check.function.__module__


def select_checks(patterns: Iterable[str]) -> tuple[Check, ...]:
    """The checks whose names contain, or match as in a shell, at least one pattern.

    Raises:
        ValueError: no check matches one of the patterns.
    """
    found = {pattern: [each for each in all_checks() if _matches(each.name, pattern)] for pattern in patterns}
    for pattern, checks in found.items():
        if not checks:
            raise _unknown_check(pattern)
    return tuple(each for each in all_checks() if any(each in checks for checks in found.values()))


def require_known_checks(names: Iterable[str]) -> None:
    """Raise ValueError unless each name is the name of a check."""
    known = {each.name for each in all_checks()}
    for name in names:
        if name not in known:
            raise _unknown_check(name)


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern if set(pattern) & set("*?[") else f"*{pattern}*")


def _unknown_check(name: str) -> ValueError:
    hint = did_you_mean(name, [each.name for each in all_checks()])
    return ValueError(f"There is no check {name!r}.{hint} rnnkit.testing.all_checks() lists all checks")
