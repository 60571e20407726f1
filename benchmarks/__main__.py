"""Ratios of the time and memory of rnnkit to those of handwritten code, measured in one run.

Run with `make bench`. On one thread a figure is CPU time, which other programs hardly affect; on two threads it is
wall-clock time. See `timing.py` and `memory.py` for how figures are measured.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks import deployed, deployed_table, files, kernels, machine, memory, picture, speed, startup, table
from benchmarks.by_hand import COUNTERPARTS, LOOP, TORCH, TORCHRECURRENT
from benchmarks.figures import Export, Failure, Figure, Result
from benchmarks.shapes import SHAPES
from rnnkit import list_kinds

PARTS = ("speed", "memory", "startup", "files", "deployed", "kernels")
QUICK = {
    "shapes": ["seed", "medium", "long"],
    "parts": ["speed", "memory"],
    "threads": [1],
    "seconds": 0.2,
    "repeats": 1,
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=str(__doc__).splitlines()[0])
    add = parser.add_argument
    add("--kinds", nargs="+", choices=COUNTERPARTS, default=list(COUNTERPARTS))
    add("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    add("--against", nargs="+", choices=[TORCH, LOOP, TORCHRECURRENT], default=[TORCH, LOOP, TORCHRECURRENT])
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (default: all)")
    add("--threads", nargs="+", type=int, choices=[1, 2], default=[1, 2][: os.cpu_count() or 1])
    add("--seconds", type=float, default=3.0, help="minimum time for each figure (default: 3)")
    add("--repeats", type=int, default=3, help="number of measurements of memory (default: 3)")
    add("--json", type=Path, default=Path("build/bench.json"))
    add("--picture", type=Path, default=Path("build/bench.png"))
    add("--quick", action="store_true", help="one minute instead of twenty-five, with less precision")
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


def figures(arguments: argparse.Namespace) -> Iterator[Result]:
    kinds = arguments.kinds
    if "startup" in arguments.parts:
        yield from startup.figures(kinds, arguments.seconds)
    if "files" in arguments.parts:
        yield from files.figures(arguments.seconds)
    if "memory" in arguments.parts and TORCH in arguments.against:
        yield from memory.figures(kinds, arguments.shapes, arguments.repeats)
    if "speed" in arguments.parts:
        for threads in sorted(
            arguments.threads
        ):  # ascending: idle threads of an existing pool spin, and count as CPU time
            yield from speed.figures(kinds, arguments.shapes, arguments.against, threads, arguments.seconds)
    if "deployed" in arguments.parts:
        for threads in sorted(arguments.threads):
            yield from deployed.figures(kinds, arguments.shapes, threads, arguments.seconds)


def measure(arguments: argparse.Namespace, console: Console) -> list[Result]:
    """Measure all figures; the terminal shows the last one."""
    done = []
    with console.status("measuring") as status:
        for figure in figures(arguments):
            done.append(figure)
            status.update(f"measured: {figure.what} of {figure.kind}, {figure.shape}, threads: {figure.threads}")
    return done


def save(done: list[Result], arguments: argparse.Namespace) -> dict[str, Any]:
    shapes = {name: shape._asdict() for name, shape in SHAPES.items()}
    how = {"threads": sorted(arguments.threads), "seconds": arguments.seconds, "shapes": shapes}
    # last: it starts a pool of threads
    gflops = {str(threads): round(machine.matmul_gflops(threads), 1) for threads in sorted(arguments.threads)}
    results = {
        name: [each.record() for each in done if isinstance(each, each_type)]
        for name, each_type in (("results", Figure), ("failures", Failure), ("exports", Export))
    }
    return machine.write_record(arguments.json, {"matmul_gflops": gflops, **how, **results})


def main() -> None:
    arguments = parse_arguments()
    # Gradients that vanish over many steps become denormal numbers, on which some processors are 100 times slower: the
    # figures would depend on the random weights. Set before the thread pool exists, since its threads inherit it.
    torch.set_flush_denormal(True)
    console = Console()
    console.width = max(console.width, 120)
    done = measure(arguments, console)
    record = save(done, arguments)
    measured = [each for each in done if isinstance(each, Figure)]
    picture.draw(measured, arguments.picture)
    table.show(measured, console)
    deployed_table.show(record, console)
    if "kernels" in arguments.parts:
        shapes = [name for name in kernels.MEASURED_SHAPES if name in arguments.shapes]
        for threads in sorted(arguments.threads):
            kernels.show(console, shapes, threads, arguments.seconds)
    unknown = sorted(set(list_kinds()) - set(COUNTERPARTS))
    if unknown:
        console.print(f"No counterpart to measure against: {', '.join(unknown)}")
    console.print(f"Written to {arguments.json} and {arguments.picture}")


if __name__ == "__main__":
    main()
