"""Messages of other packages during an export."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


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
    """Hide torch's warnings and what its loggers report while it traces."""
    with warnings.catch_warnings(), only_errors("torch"):
        warnings.simplefilter("ignore")
        yield
