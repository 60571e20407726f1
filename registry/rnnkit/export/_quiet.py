"""Messages of other packages during an export."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr


@contextmanager
def only_errors(logger_name: str | None) -> Iterator[None]:
    """Hide what a logger reports below the level of errors; None: the root logger."""
    logger = logging.getLogger(logger_name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Hide what torch writes while it traces: warnings, logs, and the graph of a model that it cannot trace."""
    with warnings.catch_warnings(), only_errors("torch"), redirect_stderr(io.StringIO()):  # it prints the graph
        warnings.simplefilter("ignore")
        yield
