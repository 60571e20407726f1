"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.by_hand import TORCHRECURRENT
from rnnkit import __version__


def describe() -> dict[str, str | int | None]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "rnnkit": __version__,
        "torch": torch.__version__,
        TORCHRECURRENT: _torchrecurrent(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _torchrecurrent() -> str | None:
    try:
        return version(TORCHRECURRENT)
    except PackageNotFoundError:
        return None
