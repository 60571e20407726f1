"""How times are taken: sides in turn, and of each the time that other programs disturbed least."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, permutations
from statistics import median
from typing import NamedTuple

FEWEST_CALLS = 5


def low(times: Sequence[float]) -> float:
    """The median of the five least: nearly as undisturbed as the least, and not moved by one or two odd readings.

    A virtual machine takes off a program's CPU time what its host says to have stolen from it, now and then off the
    wrong call; a single reading may therefore be far too small, and the least of all would find just that one. Of
    wall-clock times, one side's only undisturbed call would be compared with the other side's disturbed ones.
    """
    return median(sorted(times)[:FEWEST_CALLS])


def agree(times: Sequence[float], *, within: float) -> bool:
    """Whether there are five of these and the least differ so little that more of them would change little."""
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
    """What each side returns, called for so many seconds and at least `fewest` times each.

    The sides take turns, so that a machine that slows down slows all; in every order, so that none always comes after
    the same one. With `at_most`, it goes on for up to so many seconds where other programs disturb too many calls.
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
