"""Sizes larger than those of most checks; those that are drawn at random are the same for the same seed."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor

from rnnkit.testing._context import Case
from rnnkit.testing.kind_under_test import Changes, KindUnderTest

TIMES = (1, 2, 8, 9, 16, 17, 63, 64, 65, 129, 257, 1025)  # around the sizes of chunks and the rounds of a scan
_ROUND_TIMES = (*range(64, 521, 64), *range(100, 521, 100))
_DRAWN = 6  # sizes
_MAX_TIME = 520
BATCHES = (*range(1, 161), 256, 257, 500, 512, 1000, 1024)
_WIDTHS = (64, 100, 128, 200, 256, 300, 320, 400, 512)
_MAX_WIDTH = 520
_MEANS = (0.0, 10.0, -10.0, 30.0, -30.0)
_WIDE = 64  # kernels often have another path above it
_BATCHES = (17, 33)
_TIMES = (9, 24)


def long_input(case: Case, time: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random input of five sequences, `(5, time, input_size)`.

    Four of them have a large mean, which holds some gates open and others shut: a state is forgotten at once, or never.
    """
    x = case.input(batch=len(_MEANS), time=time, dtype=dtype)
    return x + torch.tensor(_MEANS, dtype=dtype)[:, None, None]


def random_of(kind: KindUnderTest) -> Random:
    """The generator of drawn sizes."""
    return Random(kind.seed)  # noqa: S311  # not for cryptography


def draw_times(random: Random) -> list[int]:
    """`TIMES`, round numbers and numbers at random, sorted."""
    return sorted({*TIMES, *_ROUND_TIMES, *_log_uniform(random, _MAX_TIME)})


def draw_factors(random: Random, size: int) -> list[int]:
    """The factors by which layers of `size` features become wide: to round numbers and to numbers at random."""
    return sorted({-(-width // size) for width in (*_WIDTHS, *_log_uniform(random, _MAX_WIDTH))})


def _log_uniform(random: Random, largest: int) -> list[int]:
    return [round(largest ** random.random()) for _ in range(_DRAWN)]


def draw_widths(kind: KindUnderTest, random: Random) -> Changes:
    """Changes that give layers of more than 64 features, multiples of the kind's sizes; none if it rejects them."""
    spec = kind.spec()
    factor = _WIDE // min(spec.hidden_sizes) + random.randint(1, 4)
    hidden_size = tuple(size * factor for size in spec.hidden_sizes)
    changes = {
        "input_size": spec.input_size * random.randint(2, 5),
        "hidden_size": hidden_size if isinstance(spec.hidden_size, tuple) else hidden_size[0],
    }
    return changes if kind.accepts(**changes) else {}


def draw_lengths(random: Random) -> list[int]:
    """The lengths of a large batch; the number of steps, those next to it, 0 and 1 are among them."""
    batch, time = random.randint(*_BATCHES), random.randint(*_TIMES)
    lengths = [time, time - 1, time - 2, 0, 1, *(random.randint(0, time) for _ in range(batch - 5))]
    random.shuffle(lengths)
    return lengths
