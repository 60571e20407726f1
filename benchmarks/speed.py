"""The time of forward and training, for rnnkit and its counterparts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.by_hand import COUNTERPARTS, LOOP
from benchmarks.figures import Figure
from benchmarks.kinds import RNNKIT, build
from benchmarks.shapes import OUTPUT_SIZE, SHAPES, Shape
from benchmarks.timing import CPU, WALL, Clock, agree, in_turn, low, milliseconds

Data = tuple[Tensor, Tensor]
BUILDS = 3


def forward(model: nn.Module, data: Data) -> None:
    with torch.no_grad():
        model(data[0])


def training(model: nn.Module, data: Data) -> None:
    x, target = data
    model.zero_grad()
    cross_entropy(model(x), target).backward()


RUNS: dict[str, Callable[[nn.Module, Data], None]] = {"forward": forward, "training": training}


def data_of(shape: Shape) -> Data:
    return torch.randn(shape.batch, shape.time, shape.input_size), torch.arange(shape.batch) % OUTPUT_SIZE


def counterparts(kind: str, against: Sequence[str], threads: int) -> list[str]:
    """Return the counterparts of a kind; the handwritten loop on one thread only, since more do not speed it up."""
    return [name for name in COUNTERPARTS[kind] if name in against and not (name == LOOP and threads > 1)]


def figures(
    kinds: Sequence[str], shapes: Sequence[str], against: Sequence[str], threads: int, seconds: float
) -> Iterator[Figure]:
    torch.set_num_threads(threads)
    for kind in kinds:
        others = counterparts(kind, against, threads)
        for shape in shapes if others else ():
            yield from _figures_of(kind, shape, others, threads, seconds)


def _figures_of(kind: str, shape: str, others: Sequence[str], threads: int, seconds: float) -> Iterator[Figure]:
    for what in RUNS:
        readings = _readings(what, kind, shape, (RNNKIT, *others), threads=threads, seconds=seconds)
        times = {side: low(times) for side, times in readings.items()}
        for other in others:
            yield Figure(
                what=what,
                kind=kind,
                shape=shape,
                against=other,
                unit=f"ms of {_clock(threads).name}",
                threads=threads,
                ours=times[RNNKIT],
                theirs=times[other],
                calls=len(readings[other]),
                steady=all(agree(readings[side], within=0.05) for side in (RNNKIT, other)),
            )


def _clock(threads: int) -> Clock:
    # CPU time is summed over threads
    return CPU if threads == 1 else WALL


def _readings(
    what: str, kind: str, shape: str, names: Sequence[str], *, threads: int, seconds: float
) -> dict[str, list[float]]:
    """Return the times of each side.

    Models are rebuilt several times, because the same model may be 4 % slower at another place in memory. If another
    program uses one of two processors, two threads that wait for each other may take seconds instead of milliseconds:
    with two threads, each model is called at least once only.
    """
    readings: dict[str, list[float]] = {side: [] for side in names}
    earlier = []  # kept alive, so that the next model is allocated elsewhere
    for _ in range(BUILDS):
        models = {side: build(side, kind, SHAPES[shape]) for side in names}
        data = data_of(SHAPES[shape])
        earlier.append((models, data))
        sides = {side: partial(_time, what, model, data, _clock(threads)) for side, model in models.items()}
        part, fewest = seconds / BUILDS, 2 if threads == 1 else 1
        for side, times in in_turn(sides, part, at_most=3 * part, fewest=fewest).items():
            readings[side] += times
    return readings


def _time(what: str, model: nn.Module, data: Data, clock: Clock) -> float:
    return milliseconds(clock, partial(RUNS[what], model, data))
