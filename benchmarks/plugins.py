"""The cost of installed plugins that are not used: listing and the first build, with many synthetic distributions.

Each figure is the CPU time of one call in a new interpreter; the two sides of a ratio take turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

COUNTS = (0, 100, 1000)

_TIMED = """
import time
{before}
start = time.process_time_ns()
{call}
print((time.process_time_ns() - start) / 1e6)
"""
# Imported before the timed call: imports are a separate figure, and would count on one side only.
_READY = "import importlib.metadata, rnnkit, rnnkit.catalog.loader, rnnkit.specs.recurrent_spec"
_WITH_TORCH = f"{_READY}, torch"
_BUILD = "rnnkit.build_model(rnnkit.RecurrentSpec(kind='gru', input_size=10, hidden_size=20))"


def milliseconds(call: str, folder: Path, *, before: str = _READY) -> float:
    """Return the CPU time of a call in a new interpreter with the distributions of a folder on its path."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", _TIMED.format(before=before, call=call)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def list_kinds(folder: Path) -> float:
    return milliseconds("rnnkit.list_kinds()", folder)


def scan(folder: Path, *, before: str = _READY) -> float:
    """Time the scan of entry points alone, as a lower bound."""
    return milliseconds("importlib.metadata.entry_points(group='rnnkit')", folder, before=before)


def scan_beside_torch(folder: Path) -> float:
    """Time the scan in a process that has imported torch, whose many objects slow the garbage collector down."""
    return scan(folder, before=_WITH_TORCH)


def first_build(folder: Path) -> float:
    """Time the scan, the import of one plugin and the build, with torch already imported."""
    return milliseconds(_BUILD, folder, before=_WITH_TORCH)


def folders() -> Iterator[tuple[int, Path]]:
    """Yield, for each count, a folder with that many distributions, whose modules must not be imported."""
    for count in COUNTS:
        with TemporaryDirectory() as name:
            for number in range(count):
                _write(Path(name), number)
            yield count, Path(name)


def _write(folder: Path, number: int) -> None:
    name = f"synthetic_{number}"
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rnnkit]\nkind_{number} = {name}\n")
    (folder / f"{name}.py").write_text("raise SystemExit('an unused plugin was imported')\n")
