"""The time of torchrecurrent's cells, unchanged, as a step in rnnkit, relative to torchrecurrent's own layer.

Run with `python -m benchmarks.third_party`. One layer, one thread, CPU time; the sides have the same weights and take
turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchrecurrent
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.machine import matmul_gflops, write_record
from benchmarks.shapes import SHAPES, Shape
from benchmarks.timing import CPU, in_turn, low, milliseconds
from rnnkit import CellStack, RecurrentSpec
from tests.helpers.torchrecurrent_cells import NAMES as CELLS
from tests.helpers.torchrecurrent_cells import CellOfTorchrecurrent, TwoPartState

# The layer of tauGRU hands delayed states to its cell, which has another step alone.
NAMES = sorted({name.removesuffix("Cell") for name in CELLS} - {"tauGRU"})


class _Cell(CellOfTorchrecurrent):
    def __init__(self, input_size: int, hidden_size: int, *, name: str, device: Any, dtype: Any) -> None:
        super().__init__(f"{name}Cell", input_size, hidden_size, dtype=torch.float32)
        self.to(device, dtype)


class _CellOfTwoParts(_Cell):
    State = TwoPartState


class Row(NamedTuple):
    name: str
    executor: str
    ratios: list[float]
    """Of rnnkit to torchrecurrent, for each shape a forward pass and training."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.third_party", description=str(__doc__).splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["medium", "long"])
    parser.add_argument("--seconds", type=float, default=1.0, help="minimum time for each figure (default: 1)")
    parser.add_argument("--json", type=Path, default=Path("build/third_party.json"))
    return parser.parse_args()


def _sides(name: str, shape: Shape) -> dict[str, nn.Module]:
    sizes = shape.hidden_size, shape.hidden_size  # equal, as IntersectionRNN requires
    theirs = getattr(torchrecurrent, name)(*sizes)
    spec = RecurrentSpec(kind="rnn_cell", input_size=sizes[0], hidden_size=sizes[1], batch_first=False)
    has_two_parts = CellOfTorchrecurrent(f"{name}Cell").two_parts
    cell = partial(_CellOfTwoParts if has_two_parts else _Cell, name=name)
    ours = CellStack(spec, [cell], device=None, dtype=None)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        own.data.copy_(other)
    return {"rnnkit": ours, "torchrecurrent": theirs}


def _forward(module: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        module(x)


def _training(module: nn.Module, x: Tensor) -> None:
    module.zero_grad()
    module(x)[0].sum().backward()


def _ratio(run: Callable[[nn.Module, Tensor], None], modules: dict[str, nn.Module], x: Tensor, seconds: float) -> float:
    calls = {side: partial(milliseconds, CPU, partial(run, module, x)) for side, module in modules.items()}
    for call in calls.values():
        call()
    times = {side: low(values) for side, values in in_turn(calls, seconds, fewest=3).items()}
    return times["rnnkit"] / times["torchrecurrent"]


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    for name in arguments.cells:
        ratios, executors = [], set()
        for shape in map(SHAPES.__getitem__, arguments.shapes):
            modules = _sides(name, shape)
            x = torch.randn(shape.time, shape.batch, shape.hidden_size)
            first = x[:8]  # some cells amplify the rounding of each step
            expected, found = (modules[side](first)[0].detach() for side in ("torchrecurrent", "rnnkit"))
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
            ratios += [_ratio(run, modules, x, arguments.seconds) for run in (_forward, _training)]
            executors.add(str(modules["rnnkit"].executor))
        yield Row(name, ", ".join(sorted(executors)), ratios)


def save(found: list[Row], gflops: float, arguments: argparse.Namespace) -> None:
    shapes = {name: {**SHAPES[name]._asdict(), "input_size": SHAPES[name].hidden_size} for name in arguments.shapes}
    results = [row._asdict() for row in found]
    write_record(arguments.json, {"matmul_gflops": round(gflops, 1), "shapes": shapes, "results": results})


def main() -> None:
    arguments = parse_arguments()
    gflops = matmul_gflops(1)
    torch.set_flush_denormal(True)  # as in the other benchmarks
    console = Console(width=120)
    table = Table("cell", "executor", *[f"{each} {what}" for each in arguments.shapes for what in ("fwd", "train")])
    found = list(rows(arguments))
    save(found, gflops, arguments)
    for row in found:
        table.add_row(row.name, row.executor, *[f"{ratio:.2f}" for ratio in row.ratios])
    console.print(f"one thread, matrix product: {gflops:.0f} GFLOP/s")
    console.print(table)


if __name__ == "__main__":
    main()
