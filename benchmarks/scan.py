"""The time of `rnnkit.scan` beside a loop over the same steps, which autograd records.

Run with `python -m benchmarks.scan`. Both compute h_t = a_t h_{t-1} + b_t in float32, where a lane is a feature of a
sequence. The sides take turns on one thread, in CPU time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.machine import matmul_gflops, write_record
from benchmarks.timing import CPU, in_turn, low, milliseconds
from rnnkit import scan

Run = Callable[..., Tensor]
STEPS, LANES = [1024, 4096, 16384], [64, 512, 2048, 8192]
SCAN, LOOP = "scan", "loop"


class Row(NamedTuple):
    steps: int
    lanes: int
    what: str
    times: dict[str, float]
    """Milliseconds of each side."""

    @property
    def speedup(self) -> float:
        return self.times[LOOP] / self.times[SCAN]


def loop(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    states = []
    for a_t, b_t in zip(a.unbind(), b.unbind(), strict=True):
        h = torch.addcmul(b_t, a_t, h)
        states.append(h)
    return torch.stack(states)


RUNS: dict[str, Run] = {SCAN: scan, LOOP: loop}


def forward(run: Run, inputs: list[Tensor]) -> None:
    with torch.no_grad():
        run(*inputs)


def training(run: Run, inputs: list[Tensor]) -> None:
    torch.autograd.grad(run(*inputs).square().sum(), inputs)


WHAT: dict[str, Callable[[Run, list[Tensor]], None]] = {"forward": forward, "training": training}


def inputs_of(steps: int, lanes: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b, h = (torch.randn(*shape, generator=generator) for shape in [(steps, lanes), (steps, lanes), (lanes,)])
    return [each.requires_grad_() for each in (torch.sigmoid(a), b, h)]


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    for steps in arguments.steps:
        for lanes in arguments.lanes:
            inputs = inputs_of(steps, lanes)
            with torch.no_grad():
                torch.testing.assert_close(scan(*inputs), loop(*inputs))
            for what, call in WHAT.items():
                sides = {side: partial(milliseconds, CPU, partial(call, run, inputs)) for side, run in RUNS.items()}
                readings = in_turn(sides, arguments.seconds)
                yield Row(steps, lanes, what, {side: low(values) for side, values in readings.items()})


def table_of(found: list[Row]) -> Table:
    table = Table("steps", "lanes", "what", "scan ms", "loop ms", "loop / scan")
    for row in found:
        times = [f"{row.times[side]:.2f}" for side in (SCAN, LOOP)]
        table.add_row(str(row.steps), str(row.lanes), row.what, *times, f"{row.speedup:.1f}")
    return table


def save(found: list[Row], gflops: float, arguments: argparse.Namespace) -> None:
    how: dict[str, Any] = {"threads": 1, "seconds": arguments.seconds, "matmul_gflops": round(gflops, 1)}
    results = [{**row._asdict(), "speedup": row.speedup} for row in found]
    write_record(arguments.json, {**how, "results": results})


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=str(__doc__).splitlines()[0])
    add = parser.add_argument
    add("--steps", nargs="+", type=int, default=STEPS)
    add("--lanes", nargs="+", type=int, default=LANES)
    add("--seconds", type=float, default=5.0, help="minimum time for each figure (default: 5)")
    add("--json", type=Path, default=Path("build/scan.json"))
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    torch.set_flush_denormal(True)  # as in the other benchmarks
    gflops = matmul_gflops(threads=1)
    console = Console(width=100)
    console.print(f"one thread, matrix product: {gflops:.0f} GFLOP/s; milliseconds of CPU time")
    found = list(rows(arguments))
    save(found, gflops, arguments)
    console.print(table_of(found))


if __name__ == "__main__":
    main()
