"""The time of every built-in kind beside `nn.LSTM`, its own step loop, and a package that has the same cell.

Run with `python -m benchmarks.zoo`. One thread, CPU time, the sides take turns. A ratio below 1 means that the kind
takes less time. Packages do not always compute the same step; the page on implementations has the differences.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchrecurrent
from minGRU_pytorch import minGRU
from ncps.torch import CfC
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.machine import matmul_gflops, write_record
from benchmarks.shapes import SHAPES, Shape
from benchmarks.timing import CPU, in_turn, low, milliseconds
from rnnkit import RecurrentSpec, build_model, get_kind, list_kinds
from rnnkit.options import StackOptions

LONGEST = SHAPES["long"]._replace(time=4096)
# input and hidden size are equal, as some packages require
ALL_SHAPES = {
    name: shape._replace(input_size=shape.hidden_size)
    for name, shape in {"medium": SHAPES["medium"], "long": SHAPES["long"], "longest": LONGEST}.items()
}
RNNKIT, LSTM, LOOP, PACKAGE = "rnnkit", "nn.LSTM", "step loop", "package"
OTHERS = (LSTM, LOOP, PACKAGE)
TORCHRECURRENT = {
    "antisymmetric": "AntisymmetricRNN",
    "cfn": "CFN",
    "fastgrnn": "FastGRNN",
    "fastrnn": "FastRNN",
    "indrnn": "IndRNN",
    "janet": "JANET",
    "lem": "LEM",
    "ligru": "LiGRU",
    "mgu": "MGU",
    "minimalrnn": "MinimalRNN",
    "peephole_lstm": "PeepholeLSTM",
    "ran": "RAN",
    "star": "STAR",
    "ugrnn": "UGRNN",
    "unicornn": "UnICORNN",
}

Run = Callable[[Tensor], Any]


class Row(NamedTuple):
    kind: str
    shape: str
    what: str
    milliseconds: float
    ratios: dict[str, float]
    """Of rnnkit's time to that of each other side."""


def kinds() -> list[str]:
    """Return the kinds that are stacks of cells."""
    built_in = list_kinds("rnnkit/*")
    return [name for name in built_in if issubclass(get_kind(name).options, StackOptions) and name != "mixed"]


def package_of(kind: str, shape: Shape) -> tuple[str, Run] | None:
    """Return the name of a package that has the cell, and its layers; None: no package of the environment has it."""
    sizes = shape.input_size, shape.hidden_size
    if kind in TORCHRECURRENT:
        layers = getattr(torchrecurrent, TORCHRECURRENT[kind])(*sizes, shape.num_layers)
        return "torchrecurrent", lambda x: layers(x.transpose(0, 1))[0]
    if kind == "mingru":
        return "minGRU-pytorch", nn.Sequential(*[minGRU(shape.hidden_size) for _ in range(shape.num_layers)])
    if kind == "cfc" and shape.num_layers == 1:
        cfc = CfC(*sizes)
        return "ncps", lambda x: cfc(x)[0]
    return None


def sides_of(kind: str, shape: Shape) -> dict[str, Run]:
    """Return a function of an input for each side."""
    lstm = nn.LSTM(shape.input_size, shape.hidden_size, shape.num_layers, batch_first=True)
    fields = {"input_size": shape.input_size, "hidden_size": shape.hidden_size, "num_layers": shape.num_layers}
    fast, slow = (build_model(RecurrentSpec.from_dict({"kind": kind, **fields})).backbone for _ in range(2))
    slow.force_step_loop = True
    found: dict[str, Run] = {RNNKIT: lambda x: fast(x)[0], LSTM: lambda x: lstm(x)[0], LOOP: lambda x: slow(x)[0]}
    package = package_of(kind, shape)
    return found if package is None else {**found, PACKAGE: package[1]}


def forward(run: Run, x: Tensor) -> None:
    with torch.no_grad():
        run(x)


def training(run: Run, x: Tensor) -> None:
    run(x).sum().backward()


def times_of(
    sides: Mapping[str, Run], call: Callable[[Run, Tensor], None], x: Tensor, seconds: float
) -> dict[str, float]:
    calls = {side: partial(milliseconds, CPU, partial(call, run, x)) for side, run in sides.items()}
    for each in calls.values():
        each()
    return {side: low(values) for side, values in in_turn(calls, seconds, fewest=3).items()}


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    for kind in arguments.kinds:
        for name in arguments.shapes:
            shape = ALL_SHAPES[name]
            torch.manual_seed(0)
            x = torch.randn(shape.batch, shape.time, shape.input_size, requires_grad=True)
            sides = sides_of(kind, shape)
            for what, call in {"forward": forward, "training": training}.items():
                times = times_of(sides, call, x, arguments.seconds)
                ratios = {side: round(times[RNNKIT] / time, 4) for side, time in times.items() if side != RNNKIT}
                yield Row(kind, name, what, round(times[RNNKIT], 2), ratios)


def save(found: list[Row], gflops: float, arguments: argparse.Namespace) -> None:
    shapes = {name: ALL_SHAPES[name]._asdict() for name in arguments.shapes}
    packages = {kind: package[0] for kind in arguments.kinds if (package := package_of(kind, Shape(1, 1, 4, 4, 1)))}
    how = {"matmul_gflops": round(gflops, 1), "shapes": shapes, "packages": packages}
    write_record(arguments.json, {**how, "results": [row._asdict() for row in found]})


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=str(__doc__).splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=kinds())
    parser.add_argument("--shapes", nargs="+", choices=ALL_SHAPES, default=list(ALL_SHAPES))
    parser.add_argument("--seconds", type=float, default=1.0, help="minimum time for each figure (default: 1)")
    parser.add_argument("--json", type=Path, default=Path("build/zoo.json"))
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    gflops = matmul_gflops(threads=1)
    torch.set_flush_denormal(True)  # as in the other benchmarks
    console = Console(width=120)
    console.print(f"one thread, matrix product: {gflops:.0f} GFLOP/s")
    table = Table("kind", "shape", "what", "ms", *[f"/ {side}" for side in OTHERS])
    found = []
    for row in rows(arguments):
        found.append(row)
        ratios = [f"{row.ratios[side]:.2f}" if side in row.ratios else "" for side in OTHERS]
        table.add_row(row.kind, row.shape, row.what, f"{row.milliseconds:.1f}", *ratios)
        save(found, gflops, arguments)
    console.print(table)


if __name__ == "__main__":
    main()
