"""Kinds that a process registers itself, for notebooks and tests."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from rnnkit.catalog import LocalEntry, current_catalog
from rnnkit.deprecation import Deprecation
from rnnkit.discovery import LOCAL, Candidate
from rnnkit.errors import PluginError
from rnnkit.explain import words
from rnnkit.kind import Builder, Kind, Paper, Problem
from rnnkit.options import Options
from rnnkit.plugin import check_kind
from rnnkit.registration import Registration

B = TypeVar("B", bound=Builder)


class LocalKind(Registration):
    """A kind that this process knows until `remove` is called, or until the `with` block of this object ends."""

    def __init__(self, kind: Kind) -> None:
        if not isinstance(kind, Kind):
            raise PluginError(f"register_kind takes a Kind, or the name of one for a decorator, but got {words(kind)}")
        builder = kind.builder
        origin = f"{getattr(builder, '__module__', None)}.{getattr(builder, '__qualname__', repr(builder))}"
        candidate = Candidate(kind.name, LOCAL, origin)
        check_kind(candidate, kind)
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
