"""Ratios of rnnkit's time and memory to those of the same thing done by hand, measured in one run.

Run with `make bench`. On one thread a figure is CPU time, which other programs hardly change; on two it is wall-clock
time. How a figure is taken is told in `timing.py` and in `memory.py`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console

from benchmarks import files, machine, memory, picture, speed, startup, table
from benchmarks.by_hand import COUNTERPARTS, LOOP, TORCH, TORCHRECURRENT
from benchmarks.figures import Figure
from benchmarks.kinds import example_registered
from benchmarks.shapes import SHAPES
from rnnkit import list_kinds

PARTS = ("speed", "memory", "startup", "files")
QUICK = {
    "shapes": ["seed", "medium", "long"],
    "parts": ["speed", "memory"],
    "threads": [1],
    "seconds": 0.2,
    "repeats": 1,
}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=str(__doc__).splitlines()[0])
    add = parser.add_argument
    add("--kinds", nargs="+", choices=COUNTERPARTS, default=list(COUNTERPARTS))
    add("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    add("--against", nargs="+", choices=[TORCH, LOOP, TORCHRECURRENT], default=[TORCH, LOOP, TORCHRECURRENT])
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (default: all)")
    add("--threads", nargs="+", type=int, choices=[1, 2], default=[1, 2][: os.cpu_count() or 1])
    add("--seconds", type=float, default=3.0, help="how long to measure each thing at least (default: 3)")
    add("--repeats", type=int, default=3, help="how often to measure memory (default: 3)")
    add("--json", type=Path, default=Path("build/bench.json"))
    add("--picture", type=Path, default=Path("build/bench.png"))
    add("--quick", action="store_true", help="a minute instead of a quarter of an hour, and rougher")
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    kinds = arguments.kinds
    if "startup" in arguments.parts:
        yield from startup.figures(kinds, arguments.seconds)
    if "files" in arguments.parts:
        yield from files.figures(arguments.seconds)
    if "memory" in arguments.parts and TORCH in arguments.against:
        yield from memory.figures(kinds, arguments.shapes, arguments.repeats)
    if "speed" in arguments.parts:
        for threads in sorted(arguments.threads):  # the threads of a pool that there is would wait, and be counted
            yield from speed.figures(kinds, arguments.shapes, arguments.against, threads, arguments.seconds)


def measured(arguments: argparse.Namespace, console: Console) -> list[Figure]:
    """All figures, while the terminal says which came last."""
    done = []
    with console.status("measuring") as status, example_registered():
        for figure in figures(arguments):
            done.append(figure)
            status.update(f"measured: {figure.what} of {figure.kind}, {figure.shape}, threads: {figure.threads}")
    return done


def save(done: list[Figure], arguments: argparse.Namespace) -> None:
    shapes = {name: shape._asdict() for name, shape in SHAPES.items()}
    how = {"threads": sorted(arguments.threads), "seconds": arguments.seconds, "shapes": shapes}
    record = {**machine.describe(), **how, "results": [figure.record() for figure in done]}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    arguments = parsed()
    # Gradients that vanish over many steps become denormal numbers, which some processors compute a hundred times
    # slower: the figures would tell more of the random weights than of the code. Before there is a pool of threads,
    # whose threads take the setting over when they are made.
    torch.set_flush_denormal(True)
    console = Console()
    console.width = max(console.width, 120)
    done = measured(arguments, console)
    save(done, arguments)
    picture.draw(done, arguments.picture)
    table.show(done, console)
    unknown = sorted(set(list_kinds()) - set(COUNTERPARTS))
    if unknown:
        console.print(f"Nobody to measure against: {', '.join(unknown)}")
    console.print(f"Written to {arguments.json} and {arguments.picture}")


if __name__ == "__main__":
    main()
