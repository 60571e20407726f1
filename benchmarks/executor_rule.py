"""The rule by which the built-in kinds run rnnkit-kernels in place of torch's kernels, compared with measured times.

Run with `python -m benchmarks.executor_rule`. Each line is a layer of some size: the time of rnnkit-kernels relative to
torch's, forward and in training, and what the rule chooses. The sides take turns. On one thread a figure is CPU time,
on more threads wall-clock time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.kernels import forward, training
from benchmarks.machine import matmul_gflops
from benchmarks.timing import CPU, WALL, in_turn, low, milliseconds
from rnnkit import RecurrentSpec, build_model
from rnnkit_builtin._executor_rule import executor_is_faster

_OF_TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
_KERNELS = {"rnn": "rnn_tanh", "gru": "gru", "lstm": "lstm"}
_LARGEST_INPUT = 256


class Point(NamedTuple):
    kind: str
    dtype: str
    lengths: bool
    time: int
    batch: int
    hidden_size: int

    @property
    def input_size(self) -> int:
        return min(self.hidden_size, _LARGEST_INPUT)

    @property
    def gflops(self) -> float:
        gates = {"rnn": 1, "gru": 3, "lstm": 4}[self.kind]
        return 2e-9 * self.time * self.batch * gates * self.hidden_size * (self.hidden_size + self.input_size)


class OfTorch(nn.Module):
    """A module of torch, with lengths as a packed sequence."""

    def __init__(self, rnn: nn.RNNBase, lengths: Tensor | None) -> None:
        super().__init__()
        self.rnn, self.lengths = rnn, lengths

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        if self.lengths is None:
            return self.rnn(x)  # type: ignore[no-any-return]  # of torch
        packed, final = self.rnn(pack_padded_sequence(x, self.lengths, enforce_sorted=False))
        return pad_packed_sequence(packed, total_length=len(x))[0], final


class OfKernels(nn.Module):
    """The cells of a model, which rnnkit-kernels runs whatever they prefer."""

    def __init__(self, backbone: Any, lengths: Tensor | None) -> None:
        super().__init__()
        self.backbone, self.lengths = backbone, lengths

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        result = self.backbone.run_planned(x, None, self.lengths)
        if isinstance(result, str):
            raise TypeError(result)
        return result  # type: ignore[no-any-return]  # of a stack of cells


def sides(point: Point) -> dict[str, nn.Module]:
    dtype = getattr(torch, point.dtype)
    input_size, hidden_size = point.input_size, point.hidden_size
    lengths = torch.linspace(point.time // 4, point.time, point.batch).long() if point.lengths else None
    if lengths is not None:
        lengths[-1] = point.time
    spec = RecurrentSpec(
        kind=f"{point.kind}_cell", input_size=input_size, hidden_size=hidden_size, batch_first=False, readout="all"
    )
    return {
        "torch": OfTorch(_OF_TORCH[point.kind](input_size, hidden_size, dtype=dtype), lengths),
        "kernels": OfKernels(build_model(spec, dtype=dtype).backbone, lengths),
    }


def measure(point: Point, seconds: float, threads: int) -> dict[str, list[float]]:
    """Return for each side its times forward and in training, in milliseconds."""
    x = torch.randn(point.time, point.batch, point.input_size, dtype=getattr(torch, point.dtype))
    clock = CPU if threads == 1 else WALL
    times: dict[str, list[float]] = {}
    modules = sides(point)
    for what in (forward, training):
        calls = {side: what(module, x) for side, module in modules.items()}
        for call in calls.values():
            call()
        readings = in_turn({side: partial(milliseconds, clock, call) for side, call in calls.items()}, seconds)
        for side, values in readings.items():
            times.setdefault(side, []).append(low(values))
    return times


def chosen(point: Point) -> bool:
    """True if the rule chooses rnnkit-kernels."""
    x = torch.empty(0, dtype=getattr(torch, point.dtype))
    kernel, hidden_size = _KERNELS[point.kind], point.hidden_size
    return executor_is_faster(kernel, x, hidden_size, time=point.time, batch=point.batch, has_lengths=point.lengths)


def verdict(times: dict[str, list[float]], *, kernels: bool) -> str:
    """Say whether the rule is right: the kernels must win in sum, and torch is kept if they win clearly everywhere."""
    ratios = [own / other for own, other in zip(times["kernels"], times["torch"], strict=True)]
    if kernels and sum(times["kernels"]) > sum(times["torch"]):
        return "wrong"
    return "cautious" if not kernels and max(ratios) < 0.9 else ""


def points(arguments: argparse.Namespace) -> Iterator[Point]:
    lengths = {"no": [False], "yes": [True], "both": [False, True]}[arguments.lengths]
    grid = product(
        arguments.dtypes, lengths, arguments.times, arguments.batches, arguments.hidden_sizes, arguments.kinds
    )
    for dtype, has_lengths, time, batch, hidden_size, kind in grid:
        point = Point(kind, dtype, has_lengths, time, batch, hidden_size)
        if point.gflops <= arguments.gflops:
            yield point


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.executor_rule", description=str(__doc__).splitlines()[0]
    )
    add = parser.add_argument
    add("--kinds", nargs="+", choices=_OF_TORCH, default=list(_OF_TORCH))
    add("--dtypes", nargs="+", choices=["float32", "float64"], default=["float32", "float64"])
    add("--lengths", choices=["no", "yes", "both"], default="both")
    add("--times", nargs="+", type=int, default=[10, 20, 32, 100, 1000])
    add("--batches", nargs="+", type=int, default=[1, 8, 32, 64])
    add("--hidden-sizes", nargs="+", type=int, default=[16, 64, 256, 512, 1024])
    add("--gflops", type=float, default=3.0, help="the largest layers to measure (default: 3)")
    add("--threads", type=int, default=1)
    add("--seconds", type=float, default=0.1, help="minimum time for each figure (default: 0.1)")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    console = Console(width=120)
    table = Table("kind", "dtype", "lengths", "time", "batch", "hidden", "forward", "training", "rule", "")
    found = {"wrong": 0, "cautious": 0, "": 0}
    for point in points(arguments):
        times, kernels = measure(point, arguments.seconds, arguments.threads), chosen(point)
        ratios = [f"{own / other:.2f}" for own, other in zip(times["kernels"], times["torch"], strict=True)]
        result = verdict(times, kernels=kernels)
        found[result] += 1
        table.add_row(*map(str, point), *ratios, "kernels" if kernels else "torch", result)
    console.print(f"threads: {arguments.threads}, peak: {matmul_gflops(arguments.threads):.0f} GFLOP/s in float32")
    console.print(table)
    console.print(
        f"{sum(found.values())} sizes: {found['wrong']} where the rule chooses the slower kernels, "
        f"{found['cautious']} where it keeps torch's although rnnkit-kernels is faster by more than 10 %"
    )


if __name__ == "__main__":
    main()
