"""Times a kind against torch's LSTM: CPU time on one thread, interleaved in one run.

The figure of each side is the median of its five shortest times: nearly as undisturbed as the minimum, and robust
against a single wrong reading. Each model is built several times, because its place in memory changes its speed by some
percent.
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
from rnnkit.compare import single_thread
from rnnkit_cards.baseline import TorchLSTM
from rnnkit_cards.measurements import Speed, Timing

OUTPUT_SIZE = 5
BUILDS = 3
SECONDS = 3.0  # for forward, and for training, at each shape
_SHORTEST = 5
_MIN_ROUNDS = 2  # for each build


class Shape(NamedTuple):
    """The sizes at which a kind is measured."""

    batch: int
    time: int
    input_size: int
    hidden_size: int
    num_layers: int


SHAPES = {"medium": Shape(32, 128, 64, 128, 2), "long": Shape(8, 1024, 32, 64, 1)}

_Data = tuple[Tensor, Tensor]
_Pass = Callable[[nn.Module, _Data], None]


def measure_speed(kind: str, shape: str, seconds: float = SECONDS) -> Speed:
    """Time a kind and torch's LSTM at one of `SHAPES`."""
    sizes = SHAPES[shape]
    with single_thread(), _flush_denormals():
        forward, training = (_timing(kind, sizes, run, seconds) for run in (_forward, _training))
    return Speed(shape=shape, sizes=sizes._asdict(), forward=forward, training=training)


def _forward(model: nn.Module, data: _Data) -> None:
    with torch.no_grad():
        model(data[0])


def _training(model: nn.Module, data: _Data) -> None:
    x, target = data
    model.zero_grad()
    cross_entropy(model(x), target).backward()


def _timing(kind: str, sizes: Shape, run: _Pass, seconds: float) -> Timing:
    model_times, lstm_times = [], []
    kept = []  # keeps every model alive: the next one would otherwise get the same memory
    for _ in range(BUILDS):
        data = _data(sizes)
        model = _build_seeded(lambda: build_model(_spec(kind, sizes)))
        lstm = _build_seeded(lambda: TorchLSTM(sizes.input_size, sizes.hidden_size, sizes.num_layers, OUTPUT_SIZE))
        kept.append((model, lstm, data))
        for model_time, lstm_time in _interleaved(run, model, lstm, data, seconds / BUILDS):
            model_times.append(model_time)
            lstm_times.append(lstm_time)
    return Timing(milliseconds=_robust_minimum(model_times), lstm_milliseconds=_robust_minimum(lstm_times))


def _interleaved(
    run: _Pass, model: nn.Module, lstm: nn.Module, data: _Data, seconds: float
) -> Iterator[tuple[float, float]]:
    """The times of both in each round, after a warm-up; the order alternates."""
    for each in (model, lstm):
        run(each, data)
    start, rounds = time.perf_counter(), 0
    while rounds < _MIN_ROUNDS or time.perf_counter() - start < seconds:
        order = (model, lstm) if rounds % 2 else (lstm, model)
        times = {id(each): _milliseconds(run, each, data) for each in order}
        yield times[id(model)], times[id(lstm)]
        rounds += 1


def _milliseconds(run: _Pass, model: nn.Module, data: _Data) -> float:
    start = time.process_time_ns()
    run(model, data)
    return (time.process_time_ns() - start) / 1e6


def _robust_minimum(times: list[float]) -> float:
    return round(median(sorted(times)[:_SHORTEST]), 4)


def _spec(kind: str, sizes: Shape) -> RecurrentSpec[Any]:
    return RecurrentSpec.from_dict(
        {
            "kind": kind,
            "input_size": sizes.input_size,
            "hidden_size": sizes.hidden_size,
            "num_layers": sizes.num_layers,
            "output_size": OUTPUT_SIZE,
        }
    )


def _build_seeded(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build()


def _data(sizes: Shape) -> _Data:
    x = torch.randn(sizes.batch, sizes.time, sizes.input_size, generator=torch.Generator().manual_seed(0))
    return x, torch.arange(sizes.batch) % OUTPUT_SIZE


@contextmanager
def _flush_denormals() -> Iterator[None]:
    """Flush denormal numbers to zero: vanishing gradients produce them, and some CPUs compute them 100 times slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
