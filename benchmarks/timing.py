"""Timing: the sides take turns, and the least disturbed calls of each count."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, permutations
from statistics import median
from typing import NamedTuple

FEWEST_CALLS = 5


def low(times: Sequence[float]) -> float:
    """Return the median of the five shortest times.

    The minimum is not robust. A virtual machine subtracts the time that its host has stolen from the CPU time of a
    program, now and then from the wrong call, so that a single reading may be far too small. For wall-clock time, the
    only undisturbed call of one side would be compared with disturbed calls of the other.
    """
    return median(sorted(times)[:FEWEST_CALLS])


def agree(times: Sequence[float], *, within: float) -> bool:
    """True if the five shortest times differ so little that more measurements would hardly change the result."""
    return len(times) >= FEWEST_CALLS and sorted(times)[FEWEST_CALLS - 1] <= (1 + within) * low(times)


class Clock(NamedTuple):
    name: str
    now: Callable[[], int]
    """Nanoseconds."""


CPU = Clock("CPU time", time.process_time_ns)
WALL = Clock("wall-clock time", time.perf_counter_ns)


def milliseconds(clock: Clock, call: Callable[[], object]) -> float:
    start = clock.now()
    call()
    return (clock.now() - start) / 1e6


def in_turn(
    sides: Mapping[str, Callable[[], float]],
    seconds: float,
    *,
    at_most: float | None = None,
    fewest: int = FEWEST_CALLS,
) -> dict[str, list[float]]:
    """Call the sides in turn for `seconds`, and at least `fewest` times each; return their results.

    The sides take turns, so that a machine that slows down affects all of them, and in every order, so that no side
    always follows the same one. With `at_most`, measuring continues for up to that many seconds while the times of a
    side disagree.
    """
    readings: dict[str, list[float]] = {side: [] for side in sides}
    start = time.perf_counter()
    for done, order in enumerate(cycle(permutations(sides))):
        wanted = seconds if at_most is None or _settled(readings) else at_most
        if done >= fewest and time.perf_counter() - start >= wanted:
            break
        for side in order:
            readings[side].append(sides[side]())
    return readings


def _settled(readings: Mapping[str, Sequence[float]]) -> bool:
    return all(agree(times, within=0.02) for times in readings.values())
