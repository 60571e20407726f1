"""The time of one step of every built-in kind for one sequence, beside `nn.LSTMCell`.

Run with `python -m benchmarks.step`. One thread, CPU time, inference; the sides take turns. A call of the kind takes
one step and returns the state that the next call starts from, as in streaming inference. A ratio below 1 means that the
kind takes less time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.machine import describe, matmul_gflops
from benchmarks.shapes import Shape
from benchmarks.timing import CPU, in_turn, low, milliseconds
from rnnkit import RecurrentSpec, build_model, list_kinds

SHAPE = Shape(batch=1, time=1, input_size=64, hidden_size=128, num_layers=1)  # the sizes of the table of kinds
CALLS = 50  # in each reading, since a single call takes less than a tick of some clocks
LSTM_CELL = "nn.LSTMCell"

Call = Callable[[], object]


class Row(NamedTuple):
    kind: str
    microseconds: float
    ratio: float
    """Of the time of the kind to that of `nn.LSTMCell`."""


def step_of(kind: str) -> Call:
    """Return a function that takes one step and keeps the state."""
    fields = {"input_size": SHAPE.input_size, "hidden_size": SHAPE.hidden_size, "num_layers": SHAPE.num_layers}
    backbone = build_model(RecurrentSpec.from_dict({"kind": kind, **fields})).eval().backbone
    x = torch.randn(SHAPE.batch, SHAPE.time, SHAPE.input_size)
    state = backbone(x)[1]

    def step() -> None:
        nonlocal state
        state = backbone(x, state)[1]

    return step


def lstm_cell_step() -> Call:
    cell = nn.LSTMCell(SHAPE.input_size, SHAPE.hidden_size)
    x = torch.randn(SHAPE.batch, SHAPE.input_size)
    state = cell(x)

    def step() -> None:
        nonlocal state
        state = cell(x, state)

    return step


def _many(call: Call) -> None:
    for _ in range(CALLS):
        call()


def rows(kinds: list[str], seconds: float) -> Iterator[Row]:
    """Measure each kind in turn with `nn.LSTMCell`."""
    with torch.inference_mode():
        for kind in kinds:
            torch.manual_seed(0)
            sides = {kind: step_of(kind), LSTM_CELL: lstm_cell_step()}
            for each in sides.values():
                _many(each)  # warm up
            readings = in_turn(
                {side: partial(milliseconds, CPU, partial(_many, call)) for side, call in sides.items()}, seconds
            )
            times = {side: 1000 * low(found) / CALLS for side, found in readings.items()}
            yield Row(kind, round(times[kind], 1), round(times[kind] / times[LSTM_CELL], 3))


def save(found: list[Row], gflops: float, path: Path) -> None:
    record = {**describe(), "matmul_gflops": round(gflops, 1), "shape": SHAPE._asdict()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({**record, "results": [row._asdict() for row in found]}, indent=1) + "\n", encoding="utf-8"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=str(__doc__).splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=list_kinds("rnnkit/*"))
    parser.add_argument("--seconds", type=float, default=2.0, help="minimum time for each kind (default: 2)")
    parser.add_argument("--json", type=Path, default=Path("build/step.json"))
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    gflops = matmul_gflops(threads=1)
    torch.set_flush_denormal(True)  # as in the other benchmarks
    console = Console(width=100)
    console.print(f"one thread, matrix product: {gflops:.0f} GFLOP/s; {SHAPE}")
    table = Table("kind", "microseconds", f"/ {LSTM_CELL}")
    found = []
    for row in rows(arguments.kinds, arguments.seconds):
        found.append(row)
        table.add_row(row.kind, f"{row.microseconds:.1f}", f"{row.ratio:.2f}")
        save(found, gflops, arguments.json)
    console.print(table)


if __name__ == "__main__":
    main()
