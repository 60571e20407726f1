"""The time of `rnn`, `gru` and `lstm` in rnnkit, torch.nn, ONNX Runtime and JAX, in one run.

Run with `python -m benchmarks.peers`. JAX takes part where it is installed. The sides take turns. On one
thread a figure is CPU time, which other programs hardly affect; on two threads it is wall-clock time. The bar of a
figure is the larger of half the time of the best peer and 1.25 times the time that its arithmetic takes at the speed of
a matrix product, which no program can undercut by much. At the shape `seed`, where calls take all the time, the bar is
that of the best peer for a forward pass and 0.7 of it for training.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import geometric_mean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.machine import matmul_gflops, write_record
from benchmarks.shapes import OUTPUT_SIZE, SHAPES, Shape
from benchmarks.speed import RUNS, Data, data_of
from benchmarks.timing import CPU, WALL, Clock, in_turn, low, milliseconds
from rnnkit import RecurrentSpec, build_model, export_onnx

Call = Callable[[], Any]
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
OURS = "rnnkit"
_FACTORS_AT_SEED = {"forward": 1.0, "training": 0.7}


class Bare(nn.Module):
    """A module of torch.nn and a linear layer on its last step, with the parameters of a model of rnnkit."""

    def __init__(self, model: Any, shape: Shape) -> None:
        super().__init__()
        theirs = type(model.backbone.rnn)
        self.rnn = theirs(shape.input_size, shape.hidden_size, shape.num_layers, batch_first=True)
        self.linear = nn.Linear(shape.hidden_size, OUTPUT_SIZE)
        for own, other in zip(self.parameters(), model.parameters(), strict=True):
            own.data.copy_(other)

    def forward(self, x: torch.Tensor) -> Any:
        return self.linear(self.rnn(x)[0][:, -1])


class Row(NamedTuple):
    shape: str
    kind: str
    what: str
    times: dict[str, float]
    """Milliseconds of each side."""
    arithmetic: float
    """Milliseconds at the speed of a matrix product."""

    @property
    def best_peer(self) -> float:
        return min(time for side, time in self.times.items() if side != OURS)

    @property
    def bar(self) -> float:
        factor = _FACTORS_AT_SEED[self.what] if self.shape == "seed" else 0.5
        return max(factor * self.best_peer, 1.25 * self.arithmetic)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=str(__doc__).splitlines()[0])
    add = parser.add_argument
    add("--kinds", nargs="+", choices=GATES, default=list(GATES))
    add("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    add("--threads", type=int, default=1)
    add("--seconds", type=float, default=3.0, help="minimum time for each figure (default: 3)")
    add("--json", type=Path, default=Path("build/peers.json"))
    return parser.parse_args()


def operations(kind: str, shape: Shape) -> float:
    """Return the floating-point operations of the matrix products of a forward pass."""
    widths = [shape.input_size] + [shape.hidden_size] * (shape.num_layers - 1)
    products = sum(GATES[kind] * shape.hidden_size * (width + shape.hidden_size) for width in widths)
    return 2 * shape.batch * shape.time * products


def _onnx_run(model: Any, x: np.ndarray, threads: int, folder: Path) -> Call:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # which would slow down the next side
    export_onnx(model, folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]


def _calls(what: str, kind: str, shape: Shape, *, threads: int, folder: Path) -> dict[str, Call]:
    data = data_of(shape)
    model = _model(kind, shape)
    bare = Bare(model, shape)
    calls: dict[str, Call] = {OURS: partial(RUNS[what], model, data), "torch.nn": partial(RUNS[what], bare, data)}
    results = {OURS: model(data[0])}
    if what == "forward":
        calls["ONNX Runtime"] = _onnx_run(model, data[0].numpy(), threads, folder)
        results["ONNX Runtime"] = torch.from_numpy(calls["ONNX Runtime"]())
    if find_spec("jax"):
        calls["JAX"], results["JAX"] = _jax_call(what, kind, bare, data)
    for side, result in results.items():
        torch.testing.assert_close(result.detach(), bare(data[0]).detach(), rtol=1e-3, atol=1e-4, msg=side)
    return calls


def _model(kind: str, shape: Shape) -> Any:
    torch.manual_seed(0)
    spec = RecurrentSpec(
        kind=kind,
        input_size=shape.input_size,
        hidden_size=shape.hidden_size,
        num_layers=shape.num_layers,
        output_size=OUTPUT_SIZE,
    )
    return build_model(spec)


def _jax_call(what: str, kind: str, bare: Bare, data: Data) -> tuple[Call, torch.Tensor]:
    from benchmarks import jax_models

    parameters = jax_models.parameters_of(bare.rnn, bare.linear)
    x, target = map(jax_models.array, data)
    run = jax_models.forward(kind, parameters, x)
    call = run if what == "forward" else jax_models.training(kind, parameters, x, target)
    return call, torch.from_numpy(np.array(run()))


def rows(arguments: argparse.Namespace, folder: Path, gflops: float) -> Iterator[Row]:
    clock = CPU if arguments.threads == 1 else WALL
    for name in arguments.shapes:
        shape = SHAPES[name]
        for kind in arguments.kinds:
            for what, factor in (("forward", 1), ("training", 3)):
                calls = _calls(what, kind, shape, threads=arguments.threads, folder=folder)
                times = _times(calls, clock, arguments.seconds)
                yield Row(name, kind, what, times, factor * operations(kind, shape) / gflops / 1e6)


def _times(calls: dict[str, Call], clock: Clock, seconds: float) -> dict[str, float]:
    sides = {side: partial(milliseconds, clock, call) for side, call in calls.items()}
    for side in sides.values():
        side()
    return {side: low(values) for side, values in in_turn(sides, seconds).items()}


def _table(found: list[Row]) -> Table:
    sides = list(dict.fromkeys(side for row in found for side in row.times))
    table = Table("shape", "kind", "what", *sides, "arithmetic", "/ best peer", "bar / best peer", "")
    for row in found:
        milliseconds_of = [f"{row.times[side]:.3f}" if side in row.times else "-" for side in sides]
        ratios = [f"{each / row.best_peer:.2f}" for each in (row.times[OURS], row.bar)]
        verdict = "reached" if row.times[OURS] <= row.bar else "missed"
        table.add_row(row.shape, row.kind, row.what, *milliseconds_of, f"{row.arithmetic:.3f}", *ratios, verdict)
    return table


def save(found: list[Row], gflops: float, arguments: argparse.Namespace) -> None:
    results = [{**row._asdict(), "best_peer": row.best_peer, "bar": row.bar} for row in found]
    how = {"threads": arguments.threads, "seconds": arguments.seconds, "matmul_gflops": round(gflops, 1)}
    shapes = {name: SHAPES[name]._asdict() for name in arguments.shapes}
    write_record(arguments.json, {**how, "shapes": shapes, "results": results})


def main() -> None:
    arguments = parse_arguments()
    torch.set_flush_denormal(True)  # as in the other benchmarks
    if arguments.threads == 1:  # before JAX is imported
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    gflops = matmul_gflops(arguments.threads)
    torch.set_num_threads(arguments.threads)
    console = Console(width=140)
    console.print(f"threads: {arguments.threads}, matrix product: {gflops:.0f} GFLOP/s; milliseconds")
    with TemporaryDirectory() as folder:
        found = list(rows(arguments, Path(folder), gflops))
    save(found, gflops, arguments)
    console.print(_table(found))
    mean = geometric_mean([row.times[OURS] / row.best_peer for row in found])
    console.print(f"geometric mean of rnnkit / best peer: {mean:.2f}")


if __name__ == "__main__":
    main()
