"""Kinds that a process registers itself, for notebooks and tests."""

from __future__ import annotations

import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import pluggy

from rnnkit._messages import short_repr
from rnnkit.catalog.catalog import LocalEntry, current_catalog
from rnnkit.catalog.discovery import LOCAL, Candidate
from rnnkit.catalog.hook_validation import implements, manager_of
from rnnkit.catalog.loader import validate_kind
from rnnkit.deprecation import Deprecation
from rnnkit.errors import PluginError
from rnnkit.kind import Builder, Kind, Paper, Problem
from rnnkit.options import Options

B = TypeVar("B", bound=Builder)
HOOK = "after_build"


class Registration(ABC):
    """Something registered until `remove` is called, or until the `with` block of this object ends."""

    @abstractmethod
    def remove(self) -> None:
        """Take it back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()


class LocalKind(Registration):
    """A kind that this process knows until `remove` is called, or until the `with` block of this object ends."""

    def __init__(self, kind: Kind) -> None:
        if not isinstance(kind, Kind):
            raise PluginError(
                f"register_kind takes a Kind, or the name of one for a decorator, but got {short_repr(kind)}"
            )
        builder = kind.builder
        origin = f"{getattr(builder, '__module__', None)}.{getattr(builder, '__qualname__', repr(builder))}"
        candidate = Candidate(kind.name, LOCAL, origin)
        validate_kind(candidate, kind)
        self.name = candidate.name
        """The name for a spec: `local/` and the kind's own name."""
        self._catalog = current_catalog()
        self._entry = LocalEntry(candidate, kind)
        self._before = self._catalog.add_local(self._entry)
        if self._before is not None:
            warnings.warn(f"The local kind {kind.name!r} of {origin} is replaced by its new version", stacklevel=3)

    def remove(self) -> None:
        """Take the kind away, and put back the version that it replaced, if any."""
        self._catalog.remove_local(self._entry, self._before)


@overload
def register_kind(kind: Kind, /) -> LocalKind: ...
@overload
def register_kind(
    kind: str,
    /,
    *,
    options: type[Options] = ...,
    summary: str = ...,
    equation: str = ...,
    paper: Paper | None = ...,
    check: Callable[[Any], Iterable[Problem]] = ...,
    deprecated: Deprecation | None = ...,
) -> Callable[[B], B]: ...
def register_kind(kind: Kind | str, /, **fields: Any) -> LocalKind | Callable[[B], B]:
    """Register a kind in this process alone, under the name `local/...`.

    ```python
    @register_kind("mine", options=MyOptions)
    class MyBackbone(Backbone): ...

    with register_kind(Kind(name="mine", builder=MyBackbone, summary="...")) as mine:
        build_model(RecurrentSpec(kind=mine.name, input_size=3, hidden_size=4))
    ```

    The bare name works too, unless it is one of rnnkit's own. Registering the same builder again (same module and
    qualified name, as when a notebook's cell is run again) replaces the kind, with a warning.

    Args:
        kind: the record; or, for the decorator of a builder, the name.
        **fields: with a name, the other fields of the record.

    Returns:
        Of a record, a `LocalKind`: a context manager that undoes the registration. Of a name, a decorator that returns
        the builder as it is. Its docstring's first line is the summary, unless one is given.

    Raises:
        ReservedKindError: the name is that of one of rnnkit's own kinds, or of another local kind.
        PluginError: the record is no valid kind; an old name, as a `KindAlias` is, has a plugin only.
    """
    if not isinstance(kind, str):
        return LocalKind(kind)

    def decorate(builder: B) -> B:
        first_line = (inspect.getdoc(builder) or "").partition("\n")[0]
        LocalKind(Kind(**{"summary": first_line, **fields, "name": kind, "builder": builder}))
        return builder

    return decorate


class RegisteredHooks(Registration):
    """The hooks of an object, which are called until `remove` is, or until the `with` block of this object ends."""

    def __init__(self, owner: object) -> None:
        self.owner = owner
        """What has the hooks."""
        self._manager = _checked_manager(owner)
        self._catalog = current_catalog()
        if not self._catalog.add_hooks(self):
            raise _refusal(owner, "it is registered already", "Register it once, or remove it first")

    def after_build(self, spec: Any, model: Any) -> None:
        """Call the hook; what it raises passes, with a note that says whose it is."""
        try:
            results = self._manager.hook.after_build(spec=spec, model=model)
        except Exception as error:
            error.add_note(f"in the hook `{HOOK}` of {short_repr(self.owner)}, which register_hooks registered")
            raise
        if results:
            cause = f"its hook `{HOOK}` returned a {type(results[0]).__name__}"
            raise _refusal(self.owner, cause, "Change the model in place, and return nothing")

    def remove(self) -> None:
        """Have the hooks called no more; nothing, if that is so already."""
        self._catalog.remove_hooks(self)


def register_hooks(owner: object) -> RegisteredHooks:
    """Have the hooks of an object called from now on, after those of the plugins and of objects registered before.

    ```python
    class Orthogonal:
        @hookimpl
        def after_build(self, spec, model): ...

    with register_hooks(Orthogonal()):
        model = build_model(spec)
    ```

    Args:
        owner: an object, or a module, with the hook `after_build`, marked with `@hookimpl`.

    Returns:
        A context manager that undoes it, as its method `remove` does.

    Raises:
        PluginError: it has no such hook, or one that rnnkit does not know; it is a class or a function; or it is
            registered already.
    """
    return RegisteredHooks(owner)


def _checked_manager(owner: object) -> pluggy.PluginManager:
    if isinstance(owner, type):
        raise _refusal(owner, "it is a class", f"Register an object of it: register_hooks({owner.__name__}())")
    if inspect.isroutine(owner):
        raise _refusal(owner, "it is a function", "Make it a method of a class, and register an object of that class")
    manager = manager_of(owner, partial(_refusal, owner))
    if implements(manager, "register_kinds"):
        raise _refusal(owner, "it has the hook `register_kinds`, which is for plugins", "Use rnnkit.register_kind")
    if not implements(manager, HOOK):
        raise _hookless(owner)
    return manager


def _hookless(owner: object) -> PluginError:
    if callable(getattr(owner, HOOK, None)):
        return _refusal(owner, f"its function `{HOOK}` is not marked", "Put `@rnnkit.hookimpl` on it")
    return _refusal(owner, f"it has no hook `{HOOK}`", "Write one, marked with `@rnnkit.hookimpl`")


def _refusal(owner: object, cause: str, way_out: str) -> PluginError:
    error = PluginError(f"The hooks of {short_repr(owner)} cannot be used: {cause}. {way_out}.")
    error.cause = cause
    return error
