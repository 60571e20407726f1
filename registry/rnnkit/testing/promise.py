"""What a promise is, and the list of all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from rnnkit.errors import RnnkitError
from rnnkit.explain import did_you_mean

if TYPE_CHECKING:
    from rnnkit.testing.trial import Trial

Tier = Literal["registration", "shape and state", "numerics", "training", "systems"]

_ROOM = "rnnkit.testing.promises"
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
    "fast_ways",
    "equations",
    "placement",
    "learning",
    "copies",
    "transforms",
    "data_parallel",
)


class Promise(NamedTuple):
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
    function: Callable[[Trial], None]


class BrokenPromiseError(RnnkitError, AssertionError):
    """A kind does not keep a promise."""


class NotApplicableError(Exception):
    """A promise says nothing about a kind, because of what the kind cannot do."""


_promises: list[Promise] = []


def promise(tier: Tier) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Make a function a promise, of which its name is the name, and its docstring the text and the usual cause."""

    def decorate(function: Callable[[Trial], None]) -> Callable[[Trial], None]:
        text, _, cause = (inspect.getdoc(function) or "").partition("\n\n")
        _promises.append(Promise(function.__name__, tier, " ".join(text.split()), " ".join(cause.split()), function))
        return function

    return decorate


def all_promises() -> tuple[Promise, ...]:
    """Every promise, tier after tier."""
    for module in _MODULES:
        import_module(f"{_ROOM}.{module}")
    return tuple(sorted(_promises, key=_place))


def _place(promise: Promise) -> tuple[int, int]:
    """Where it stands among all, whichever module was imported first."""
    module = promise.function.__module__.rpartition(".")[2]
    return get_args(Tier).index(promise.tier), _MODULES.index(module)


def promises_like(patterns: Iterable[str]) -> tuple[Promise, ...]:
    """Those promises whose names match one of some patterns, as a shell would have it, or have one of them in them.

    Raises:
        ValueError: there is no promise for one of them.
    """
    found = {pattern: [each for each in all_promises() if _is_like(each.name, pattern)] for pattern in patterns}
    for pattern, promises in found.items():
        if not promises:
            raise _no_promise(pattern)
    return tuple(each for each in all_promises() if any(each in promises for promises in found.values()))


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError unless each of some names is that of a promise."""
    known = {each.name for each in all_promises()}
    for name in names:
        if name not in known:
            raise _no_promise(name)


def _is_like(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern if set(pattern) & set("*?[") else f"*{pattern}*")


def _no_promise(name: str) -> ValueError:
    hint = did_you_mean(name, [each.name for each in all_promises()])
    return ValueError(f"There is no promise {name!r}.{hint} rnnkit.testing.all_promises() has all of them")
