"""The environment of a measurement."""

from __future__ import annotations

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmarks.by_hand import TORCHRECURRENT
from rnnkit import __version__
from rnnkit_cards.machine import this_machine


def describe() -> dict[str, str | int | None]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        **asdict(this_machine()),
        "rnnkit": __version__,
        "torch": torch.__version__,
        TORCHRECURRENT: _torchrecurrent(),
        "python": platform.python_version(),
    }


def _torchrecurrent() -> str | None:
    try:
        return version(TORCHRECURRENT)
    except PackageNotFoundError:
        return None
