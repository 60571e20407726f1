"""The environment of a measurement."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks.by_hand import TORCHRECURRENT
from benchmarks.timing import CPU, WALL, low, milliseconds
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


def write_record(path: Path, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Write what was measured, with the environment, to a JSON file; return it."""
    record = {**describe(), **measured}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def matmul_gflops(threads: int, size: int = 1024, calls: int = 20) -> float:
    """Return the speed of float32 matrix products: a bound of that of any model, in 10⁹ operations per second."""
    torch.set_num_threads(threads)
    matrix = torch.randn(size, size)
    clock = CPU if threads == 1 else WALL
    time = low([milliseconds(clock, lambda: matrix @ matrix) for _ in range(calls)])
    return 2 * size**3 / time / 1e6


def _torchrecurrent() -> str | None:
    try:
        return version(TORCHRECURRENT)
    except PackageNotFoundError:
        return None
