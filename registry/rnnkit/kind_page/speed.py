"""How long a kind takes beside torch's LSTM: CPU time on one thread, in turn, and of each the least.

The figure of each side is the median of its five least times: nearly as undisturbed as the least, and not moved by an
odd reading. Each model is built several times, as the same one may take some percent longer elsewhere in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rnnkit import RecurrentSpec, build_model
from rnnkit.kind_page.machine import one_thread
from rnnkit.kind_page.measurements import Speed, Timing
from rnnkit.kind_page.reference import TorchLSTM

OUTPUT_SIZE = 5
BUILDS = 3
SECONDS = 3.0  # for each of the two ways at each shape
_LEAST = 5
_FEWEST = 2  # turns with each build


class Shape(NamedTuple):
    """The sizes at which a kind is measured."""

    batch: int
    time: int
    input_size: int
    hidden_size: int
    num_layers: int


SHAPES = {"medium": Shape(32, 128, 64, 128, 2), "long": Shape(8, 1024, 32, 64, 1)}

Data = tuple[Tensor, Tensor]


def measured_speed(kind: str, shape: str, seconds: float = SECONDS) -> Speed:
    """How fast a kind is at one of `SHAPES`."""
    sizes = SHAPES[shape]
    with one_thread(), _without_denormals():
        forward, training = (_timing(kind, sizes, way, seconds) for way in (_forward, _training))
    return Speed(shape=shape, sizes=sizes._asdict(), forward=forward, training=training)


def _forward(model: nn.Module, data: Data) -> None:
    with torch.no_grad():
        model(data[0])


def _training(model: nn.Module, data: Data) -> None:
    x, target = data
    model.zero_grad()
    cross_entropy(model(x), target).backward()


def _timing(kind: str, sizes: Shape, way: Callable[[nn.Module, Data], None], seconds: float) -> Timing:
    ours, theirs = [], []
    kept = []  # as the next model would take the place of one that is gone
    for _ in range(BUILDS):
        data = _data(sizes)
        model, lstm = _built(lambda: build_model(spec_of(kind, sizes))), _built(lambda: _lstm(sizes))
        kept.append((model, lstm, data))
        for times, other_times in _turns(way, model, lstm, data, seconds / BUILDS):
            ours.append(times)
            theirs.append(other_times)
    return Timing(milliseconds=_low(ours), lstm_milliseconds=_low(theirs))


def _turns(
    way: Callable[[nn.Module, Data], None], model: nn.Module, lstm: nn.Module, data: Data, seconds: float
) -> Iterator[tuple[float, float]]:
    """The times of both sides, each first in every second turn; a call before the first is not counted."""
    for side in (model, lstm):
        way(side, data)
    start, turn = time.perf_counter(), 0
    while turn < _FEWEST or time.perf_counter() - start < seconds:
        sides = (model, lstm) if turn % 2 else (lstm, model)
        times = {id(side): _milliseconds(way, side, data) for side in sides}
        yield times[id(model)], times[id(lstm)]
        turn += 1


def _milliseconds(way: Callable[[nn.Module, Data], None], model: nn.Module, data: Data) -> float:
    start = time.process_time_ns()
    way(model, data)
    return (time.process_time_ns() - start) / 1e6


def _low(times: list[float]) -> float:
    return round(median(sorted(times)[:_LEAST]), 4)


def spec_of(kind: str, sizes: Shape) -> RecurrentSpec[Any]:
    """The spec of a kind at some sizes, with its defaults otherwise."""
    return RecurrentSpec.from_dict(
        {
            "kind": kind,
            "input_size": sizes.input_size,
            "hidden_size": sizes.hidden_size,
            "num_layers": sizes.num_layers,
            "output_size": OUTPUT_SIZE,
        }
    )


def _lstm(sizes: Shape) -> nn.Module:
    return TorchLSTM(sizes.input_size, sizes.hidden_size, sizes.num_layers, OUTPUT_SIZE)


def _built(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build()


def _data(sizes: Shape) -> Data:
    x = torch.randn(sizes.batch, sizes.time, sizes.input_size, generator=torch.Generator().manual_seed(0))
    return x, torch.arange(sizes.batch) % OUTPUT_SIZE


@contextmanager
def _without_denormals() -> Iterator[None]:
    """Without the numbers that vanishing gradients become, with which some processors are a hundred times slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
