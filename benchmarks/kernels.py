"""The time of rnnkit-kernels relative to torch's own modules and to the step loop, for one layer, in one run.

Run with `python -m benchmarks.kernels`; `make bench` prints the table as well. The sides take turns. On one thread a
figure is CPU time, which other programs hardly affect; on two threads it is wall-clock time. `prototype.py` says what
the last column is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.machine import matmul_gflops
from benchmarks.prototype import prototype_ratio
from benchmarks.shapes import SHAPES, Shape
from benchmarks.timing import CPU, WALL, in_turn, low, milliseconds
from rnnkit import RecurrentSpec, build_model
from rnnkit.plan import Plan, plan_for
from rnnkit_kernels import MachineExecutor

MEASURED_SHAPES = ["medium", "long", "large"]
_OF_TORCH = {"rnn_cell": nn.RNN, "gru_cell": nn.GRU, "lstm_cell": nn.LSTM}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=str(__doc__).splitlines()[0])
    add = parser.add_argument
    add("--kinds", nargs="+", default=None, help="kinds of cells (default: rnn_cell, gru_cell, lstm_cell and mgu)")
    add("--shapes", nargs="+", choices=SHAPES, default=MEASURED_SHAPES)
    add("--threads", nargs="+", type=int, default=[1])
    add("--seconds", type=float, default=2.0, help="minimum time for each figure (default: 2)")
    return parser.parse_args()


class Planned(nn.Module):
    """A cell that rnnkit-kernels runs, also if the cell has a method of its own."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.cell, self.initial_state = backbone.cells[0], backbone.initial_state
        self.executor = MachineExecutor()

    def forward(self, x: Tensor) -> Any:
        plan, state = plan_for(self.cell), self.initial_state(x.shape[1])[0]
        if not isinstance(plan, Plan):
            raise TypeError(plan.reason)
        return self.executor.unroll(plan, self.cell, self.cell.project(x), state)


def sides(kind: str, shape: Shape) -> dict[str, nn.Module]:
    """Return the modules to compare: of one layer, time first."""
    spec = RecurrentSpec(
        kind=kind, input_size=shape.input_size, hidden_size=shape.hidden_size, batch_first=False, readout="all"
    )
    backbone: Any = build_model(spec).backbone
    found = {"kernels": Planned(backbone), "loop": backbone.as_step_loop()}
    if kind in _OF_TORCH:
        found["torch"] = _OF_TORCH[kind](shape.input_size, shape.hidden_size)
    return found


def forward(module: nn.Module, x: Tensor) -> Callable[[], None]:
    def call() -> None:
        with torch.no_grad():
            module(x)

    return call


def training(module: nn.Module, x: Tensor) -> Callable[[], None]:
    def call() -> None:
        module(x)[0].sum().backward()

    return call


def figures(
    shapes: Sequence[str], threads: int, seconds: float, kinds: Sequence[str] | None = None
) -> Iterator[tuple[str, ...]]:
    torch.set_num_threads(threads)
    clock = CPU if threads == 1 else WALL
    kinds = kinds or [*_OF_TORCH, "mgu"]
    for name in shapes:
        shape = SHAPES[name]
        x = torch.randn(shape.time, shape.batch, shape.input_size)
        for kind in kinds:
            modules = sides(kind, shape)
            for what in (forward, training):
                calls = {side: what(module, x) for side, module in modules.items()}
                for call in calls.values():
                    call()
                readings = in_turn(
                    {side: partial(milliseconds, clock, call) for side, call in calls.items()},
                    seconds,
                )
                times = {side: low(values) for side, values in readings.items()}
                own = times["kernels"]
                ratios = [f"{own / times[side]:.2f}" if side in times else "-" for side in ("torch", "loop")]
                of_prototype = prototype_ratio(threads, name, kind, what.__name__)
                yield (
                    name,
                    kind,
                    what.__name__,
                    f"{own:.2f}",
                    *ratios,
                    "-" if of_prototype is None else f"{of_prototype:.2f}",
                )


def show(
    console: Console, shapes: Sequence[str], threads: int, seconds: float, kinds: Sequence[str] | None = None
) -> None:
    """Measure, and print a table."""
    columns = ("ms", "/ torch.nn", "/ step loop", "prototype / torch.nn")
    table = Table("shape", "kind", "what", *columns, title="rnnkit-kernels, one layer")
    for row in figures(shapes, threads, seconds, kinds):
        table.add_row(*row)
    console.print(f"threads: {threads}, peak of torch.matmul: {matmul_gflops(threads):.0f} GFLOP/s")
    console.print(table)


def main() -> None:
    arguments = parse_arguments()
    torch.set_flush_denormal(True)
    for threads in sorted(arguments.threads):
        show(Console(width=120), arguments.shapes, threads, arguments.seconds, arguments.kinds)


if __name__ == "__main__":
    main()
