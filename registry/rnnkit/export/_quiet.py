"""Messages of other packages during an export, for processes of our own: the filters belong to the whole process."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr


@contextmanager
def _only_errors(logger_name: str | None) -> Iterator[None]:
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
    """Hide what torch and ONNX Runtime write: warnings, logs, and the graph of a model that torch cannot trace."""
    # ONNX Runtime uses the root logger
    with warnings.catch_warnings(), _only_errors("torch"), _only_errors(None), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
