"""The environment of a measurement."""

from __future__ import annotations

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

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
