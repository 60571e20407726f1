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


_Function = Callable[["CheckContext"], None]
_checks: list[Check] = []


def check(tier: Tier) -> Callable[[_Function], _Function]:
    """Register a function as a check: its docstring is the text, then after an empty line the usual cause."""

    def decorate(function: _Function) -> _Function:
        text, _, cause = (" ".join(part.split()) for part in (inspect.getdoc(function) or "").partition("\n\n"))
        _checks.append(Check(function.__name__, tier, text, cause, function))
        return function

    return decorate


def all_checks() -> tuple[Check, ...]:
    """All checks, sorted by tier."""
    from rnnkit.testing import checks

    for module in iter_modules(checks.__path__, f"{checks.__name__}."):
        import_module(module.name)
    # by module too: the order must not depend on the order of imports
    return tuple(sorted(_checks, key=lambda each: (get_args(Tier).index(each.tier), each.function.__module__)))


def select_checks(patterns: str | Iterable[str]) -> tuple[Check, ...]:
    """The checks whose names contain, or match as in a shell, at least one pattern.

    Raises:
        ValueError: there is no pattern, or no check matches one of the patterns.
    """
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    if not patterns:
        raise ValueError("only must name at least one check, but is empty; use only=None to run all checks")
    found = {pattern: _matching(pattern) for pattern in patterns}
    require_known_checks(pattern for pattern, names in found.items() if not names)
    return tuple(each for each in all_checks() if any(each.name in names for names in found.values()))


def require_known_checks(names: Iterable[str]) -> None:
    """Raise ValueError unless each name is the name of a check."""
    known = [each.name for each in all_checks()]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValueError(f"There is no check {name!r}.{hint} rnnkit.testing.all_checks() lists all checks")


def _matching(pattern: str) -> list[str]:
    pattern = pattern if set(pattern) & set("*?[") else f"*{pattern}*"
    return [each.name for each in all_checks() if fnmatchcase(each.name, pattern)]
