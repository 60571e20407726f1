"""What a promise is, and the list of all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from rnnkit._messages import did_you_mean
from rnnkit.errors import RnnkitError

if TYPE_CHECKING:
    from rnnkit.testing.check_context import CheckContext

Tier = Literal["registration", "shape and state", "numerics", "training", "systems"]

_ROOM = "rnnkit.testing.checks"
# In the order in which a report has them.
_MODULES = (
    "records",
    "option_effects",
    "shapes",
    "states",
    "time",
    "padding",
    "directions",
    "layers",
    "independence",
    "derivatives",
    "executors",
    "equations",
    "placement",
    "learning",
    "copies",
    "transforms",
    "data_parallel",
)


class Check(NamedTuple):
    """Something that holds for every kind, or that a kind cannot do, which running it shows.

    Attributes:
        name: what tests, reports and expected failures call it.
        tier: what sort of thing it is about.
        text: the promise, in one sentence.
        cause: what is usually wrong where it is broken.
        function: puts it to the test.
    """

    name: str
    tier: Tier
    text: str
    cause: str
    function: Callable[[CheckContext], None]


class CheckFailedError(RnnkitError, AssertionError):
    """A kind does not keep a promise."""


class NotApplicableError(Exception):
    """A promise says nothing about a kind, because of what the kind cannot do."""


_checks: list[Check] = []


def check(tier: Tier) -> Callable[[Callable[[CheckContext], None]], Callable[[CheckContext], None]]:
    """Make a function a promise, of which its name is the name, and its docstring the text and the usual cause."""

    def decorate(function: Callable[[CheckContext], None]) -> Callable[[CheckContext], None]:
        text, _, cause = (inspect.getdoc(function) or "").partition("\n\n")
        _checks.append(Check(function.__name__, tier, " ".join(text.split()), " ".join(cause.split()), function))
        return function

    return decorate


def all_checks() -> tuple[Check, ...]:
    """Every promise, tier after tier."""
    for module in _MODULES:
        import_module(f"{_ROOM}.{module}")
    return tuple(sorted(_checks, key=_place))


def _place(check: Check) -> tuple[int, int]:
    """Where it stands among all, whichever module was imported first."""
    module = check.function.__module__.rpartition(".")[2]
    return get_args(Tier).index(check.tier), _MODULES.index(module)


def checks_like(patterns: Iterable[str]) -> tuple[Check, ...]:
    """Those promises whose names match one of some patterns, as a shell would have it, or have one of them in them.

    Raises:
        ValueError: there is no promise for one of them.
    """
    found = {pattern: [each for each in all_checks() if _is_like(each.name, pattern)] for pattern in patterns}
    for pattern, checks in found.items():
        if not checks:
            raise _no_check(pattern)
    return tuple(each for each in all_checks() if any(each in checks for checks in found.values()))


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError unless each of some names is that of a promise."""
    known = {each.name for each in all_checks()}
    for name in names:
        if name not in known:
            raise _no_check(name)


def _is_like(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern if set(pattern) & set("*?[") else f"*{pattern}*")


def _no_check(name: str) -> ValueError:
    hint = did_you_mean(name, [each.name for each in all_checks()])
    return ValueError(f"There is no promise {name!r}.{hint} rnnkit.testing.all_checks() has all of them")
