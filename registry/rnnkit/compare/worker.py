"""Whether the current call runs on a worker of an engine, in a process whose settings it may change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_in_worker = ContextVar("_in_worker", default=False)


@contextmanager
def in_worker() -> Iterator[None]:
    """Mark the calls of a block as those of a worker."""
    token = _in_worker.set(True)
    try:
        yield
    finally:
        _in_worker.reset(token)


def is_worker() -> bool:
    """Return whether the current call runs on a worker, which runs one call at a time."""
    return _in_worker.get()
