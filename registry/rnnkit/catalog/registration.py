"""Kinds, readouts, executors and hooks that a process registers itself, for notebooks and tests."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

import pluggy

from rnnkit._messages import short_repr
from rnnkit.catalog.catalog import current_catalog
from rnnkit.catalog.discovery import (
    CATEGORIES,
    COMMANDS,
    EXECUTORS,
    LOCAL,
    READOUTS,
    TASKS,
    Candidate,
    Category,
    is_name,
)
from rnnkit.catalog.hook_validation import implements, require_hook, validated_manager
from rnnkit.catalog.index import Index, LocalEntry
from rnnkit.catalog.loader import validate_kind
from rnnkit.deprecation import Deprecation
from rnnkit.errors import PluginError
from rnnkit.kind import Builder, Kind, Paper, Problem
from rnnkit.options import Options

if TYPE_CHECKING:
    from rnnkit.compare import Task
    from rnnkit.model import Readout
    from rnnkit.plan import Executor

B = TypeVar("B", bound=Builder)


class Registration:
    """Something registered until `remove` is called, or until the `with` block of this object ends."""

    def remove(self) -> None:
        """Undo the registration."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.remove()


class _LocalName(Registration):
    """A name that this process knows until `remove` is called, or until the `with` block of this object ends."""

    def __init__(self, index: Index, entry: LocalEntry) -> None:
        self.name = entry.candidate.name
        """The name to write in a spec, `local/...`."""
        self._index, self._entry = index, entry
        self._before = index.add_local(entry)
        if self._before is not None:
            noun, kind, origin = index.category.noun, entry.candidate.bare_name, entry.candidate.value
            message = f"The local {noun} {kind!r} of {origin} is replaced by its new version"
            warnings.warn(message, stacklevel=4)

    def remove(self) -> None:
        """Remove the name, and restore the version that it replaced, if any."""
        self._index.remove_local(self._entry, self._before)


class LocalKind(_LocalName):
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
        super().__init__(current_catalog(), LocalEntry(candidate, kind))


@overload
def register_kind(kind: Kind, /) -> LocalKind: ...
@overload
def register_kind(
    kind: str,
    /,
    *,
    options: type[Options] = ...,
    summary: str = ...,
    keywords: tuple[str, ...] = ...,
    equation: str = ...,
    papers: tuple[Paper, ...] = ...,
    notes: tuple[str, ...] = ...,
    family: str = ...,
    check: Callable[[Any], Iterable[Problem]] = ...,
    features: Callable[[Any], int] | None = ...,
    inapplicable_checks: Mapping[str, str] = ...,
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
        For a record, a `LocalKind`: a context manager that undoes the registration. For a name, a decorator that
        returns the builder unchanged. The first line of its docstring is the summary, unless one is given.

    Raises:
        ReservedKindError: the name is that of one of rnnkit's own kinds, or of another local kind.
        PluginError: the record is not a valid kind. Only plugins can register a `KindAlias`.
    """
    if not isinstance(kind, str):
        return LocalKind(kind)

    def decorate(builder: B) -> B:
        first_line = (inspect.getdoc(builder) or "").partition("\n")[0]
        LocalKind(Kind(**{"summary": first_line, **fields, "name": kind, "builder": builder}))
        return builder

    return decorate


class LocalReadout(_LocalName):
    """A readout that this process knows until `remove` is called, or until the `with` block of this object ends."""

    def __init__(self, readout: type[Readout]) -> None:
        super().__init__(current_catalog().readouts, _entry_of_class(readout, READOUTS, "rnnkit.Readout"))


class LocalExecutor(_LocalName):
    """An executor that this process knows until `remove` is called, or until the `with` block of this object ends."""

    def __init__(self, executor: type[Executor]) -> None:
        super().__init__(current_catalog().executors, _entry_of_class(executor, EXECUTORS, "rnnkit.plan.Executor"))


class LocalTask(_LocalName):
    """A task that this process knows until `remove` is called, or until the `with` block of this object ends."""

    def __init__(self, task: type[Task]) -> None:
        super().__init__(current_catalog().tasks, _entry_of_class(task, TASKS, "rnnkit.compare.Task"))


class RegisteredHooks(Registration):
    """The hooks of an object, which are called until `remove` is, or until the `with` block of this object ends."""

    def __init__(self, owner: object) -> None:
        self.owner = owner
        """The object that has the hooks."""
        self.manager = _user_manager(owner)
        self._catalog = current_catalog()
        if not self._catalog.add_hooks(self):
            raise _hooks_error(owner, "it is registered already", "Register it once, or remove it first")

    def remove(self) -> None:
        """Stop calling the hooks; does nothing if they have been removed already."""
        self._catalog.remove_hooks(self)


def register_readout(readout: type[Readout], /) -> LocalReadout:
    """Register a readout in this process alone, under the name `local/...`.

    ```python
    class LastTwo(Readout):
        name = "last_two"
        ...

    with register_readout(LastTwo) as readout:
        build_model(RecurrentSpec(kind="gru", input_size=3, hidden_size=4, readout=readout.name))
    ```

    The bare name works too, unless it is one of rnnkit's own. Registering the same class again (same module and
    qualified name, as when a notebook's cell is run again) replaces it, with a warning.

    Args:
        readout: the class.

    Returns:
        A context manager that removes it, as its method `remove` does.

    Raises:
        ReservedKindError: the name is that of one of rnnkit's own readouts, or of another local one.
        PluginError: it is not a class with a `name`.
    """
    return LocalReadout(readout)


def register_executor(executor: type[Executor], /) -> LocalExecutor:
    """Register an executor in this process alone, under the name `local/...`.

    Args:
        executor: the class.

    Returns:
        A context manager that removes it, as its method `remove` does.

    Raises:
        ReservedKindError: the name is that of another local executor.
        PluginError: it is not a class with a `name`.
    """
    return LocalExecutor(executor)


def register_task(task: type[Task], /) -> LocalTask:
    """Register a task in this process alone, under the name `local/...`.

    Args:
        task: the class.

    Returns:
        A context manager that removes it, as its method `remove` does.

    Raises:
        ReservedKindError: the name is that of one of rnnkit's own tasks, or of another local one.
        PluginError: it is not a class with a `name`.
    """
    return LocalTask(task)


def register_hooks(owner: object) -> RegisteredHooks:
    """Call the hooks of an object from now on, after those of plugins and of objects that were registered before.

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
        A context manager that removes the hooks, as its method `remove` does.

    Raises:
        PluginError: it has no such hook, or one that is not a hook of rnnkit; it is a class or a function; or it is
            registered already.
    """
    return RegisteredHooks(owner)


def _entry_of_class(cls: Any, category: Category, base: str) -> LocalEntry:
    name = getattr(cls, "name", None)
    if not isinstance(cls, type) or not is_name(name):
        raise PluginError(
            f"register_{category.noun} takes a subclass of {base} with a `name`, but got {short_repr(cls)}"
        )
    origin = f"{cls.__module__}.{cls.__qualname__}"
    return LocalEntry(Candidate(str(name), LOCAL, origin, category=category), cls)


def _user_manager(owner: object) -> pluggy.PluginManager:
    if isinstance(owner, type):
        raise _hooks_error(owner, "it is a class", f"Register an object of it: register_hooks({owner.__name__}())")
    if inspect.isroutine(owner):
        raise _hooks_error(owner, "it is a function", "Make it a method of a class, and register an object of it")
    fail = partial(_hooks_error, owner)
    manager = validated_manager(owner, fail, partial(_note_owner, owner))
    for category in CATEGORIES.values():
        if implements(manager, category.hook):
            cause, fix = f"it has the hook `{category.hook}`, which is for plugins", f"Use rnnkit.{category.hook[:-1]}"
            raise _hooks_error(owner, cause, fix if category != COMMANDS else "Make a plugin of it")
    require_hook(manager, owner, "after_build", fail)
    return manager


@contextmanager
def _note_owner(owner: object, hook: str) -> Iterator[None]:
    """Errors of a user's hook pass, with a note."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in {hook.replace('its', 'the')} of {short_repr(owner)}, which register_hooks registered")
        raise


def _hooks_error(owner: object, cause: str, fix: str) -> PluginError:
    error = PluginError(f"The hooks of {short_repr(owner)} cannot be used: {cause}. {fix}.")
    error.cause = cause
    return error
