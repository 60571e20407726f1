"""Peak memory of training, in addition to the memory of code and weights.

Each measurement runs in a new interpreter, since a model would reuse the memory that another model freed. It builds the
model, trains on a small part of the data to load all code, and then measures the growth of the peak resident set during
a few steps. By default glibc raises the threshold below which it keeps freed memory, so that the peak depends on the
order of deallocations and varies by 20 % from run to run; a fixed threshold makes it measure the memory in use.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import torch

from benchmarks.by_hand import TORCH
from benchmarks.figures import CELLS, Figure
from benchmarks.kinds import RNNKIT, build
from benchmarks.shapes import SHAPES
from benchmarks.speed import data_of, training
from rnnkit import CellStack

MEASURED_SHAPES = ("medium", "large")
STEPS = 3
THRESHOLD = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
ROOT = Path(__file__).parents[1]
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def figures(kinds: Sequence[str], shapes: Sequence[str], repeats: int) -> Iterator[Figure]:
    """Yield the figures of each kind with fused kernels, compared with torch's module."""
    for kind in (name for name in kinds if name in CELLS):
        for shape in (name for name in shapes if name in MEASURED_SHAPES):
            ours, theirs = (
                median(in_fresh_process(side, kind, shape) for _ in range(repeats)) for side in (RNNKIT, TORCH)
            )
            yield Figure(
                what="memory",
                kind=kind,
                shape=shape,
                against=TORCH,
                unit="MiB",
                threads=1,
                ours=ours,
                theirs=theirs,
                calls=repeats,
            )


def in_fresh_process(side: str, kind: str, shape: str, *flags: str) -> float:
    """Return the memory of training in MiB, measured in a new interpreter."""
    command = [sys.executable, "-m", "benchmarks.memory", side, kind, shape, *flags]
    variables = os.environ | THRESHOLD
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables, cwd=ROOT)
    return float(done.stdout)


def growth(side: str, kind: str, shape: str, *, force_step_loop: bool) -> float:
    """Return the memory of training in MiB, without code and weights."""
    model = build(side, kind, SHAPES[shape])
    for module in model.modules():
        if isinstance(module, CellStack):
            module.force_step_loop = force_step_loop
    x, target = data_of(SHAPES[shape])
    training(model, (x[:1], target[:1]))  # as many steps: their number decides what runs
    model.zero_grad()
    before = reset_peak()
    for _ in range(STEPS):
        training(model, (x, target))
    return (peak() - before) / 2**20


def reset_peak() -> int:
    """Reset the peak, if the system supports it, and return it."""
    if CLEAR.exists():
        CLEAR.write_text("5", encoding="utf-8")
    return peak()


def peak() -> int:
    """Return the peak resident set in bytes."""
    # not from `getrusage` on Linux, where a process inherits the peak of its parent
    if STATUS.exists():
        found = re.search(r"VmHWM:\s*(\d+) kB", STATUS.read_text("utf-8"))
        if found:
            return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    sys.stdout.write(f"{growth(*sys.argv[1:4], force_step_loop='force_step_loop' in sys.argv)}\n")
