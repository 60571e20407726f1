"""A delay line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator, Tensor

from rnnkit.compare.objective import REGRESSION, Objective
from rnnkit.compare.task import Batch, GeneratedTask
from rnnkit.errors import CompareError
from rnnkit.kind import Paper

CYCLES = 3.0  # of the highest frequency during the delay
WAVES = 16


@dataclass(frozen=True)
class Delay(GeneratedTask):
    """Return the input of some steps ago, of a smooth signal: a sum of sine waves of random frequencies and phases.

    The highest frequency has three cycles during the delay. A memory of Legendre polynomials represents such a window
    with few coefficients.
    """

    lag: Annotated[int, Field(ge=6)] = 32
    """Steps of the delay; at least two for each cycle of the highest frequency."""
    length: int = 128
    """Steps of a sequence; the first `lag` ones have no target."""

    name = "delay"
    summary = "Return the input of some steps ago."
    measures = "memory of a window of a continuous signal"
    source = Paper(
        title="Legendre Memory Units: Continuous-Time Representation in Recurrent Neural Networks",
        authors="Aaron R. Voelker, Ivana Kajić, Chris Eliasmith",
        year=2019,
        link="https://papers.nips.cc/paper/2019/hash/952285b9b7e7a1be5aa7849f32ffff05-Abstract.html",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length <= self.lag:
            raise CompareError(
                f"Task {self.name!r}: length={self.length} is too short for lag={self.lag}; use length > {self.lag}"
            )

    @property
    def objective(self) -> Objective:
        return REGRESSION

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 1, "output_size": 1, "readout": "all"}

    def draw(self, size: int, generator: Generator, *, testing: bool) -> Batch:  # noqa: ARG002  # all are equally long
        x = self._signal(size, generator)
        target = x.roll(self.lag, 1)
        target[:, : self.lag] = math.nan
        return Batch(x, target)

    def _signal(self, size: int, generator: Generator) -> Tensor:
        """Return signals of variance 1, `(size, length, 1)`."""
        frequency = torch.rand(size, 1, WAVES, generator=generator) * CYCLES / self.lag
        phase = torch.rand(size, 1, WAVES, generator=generator)
        time = torch.arange(self.length)[None, :, None]
        waves = torch.sin(2 * math.pi * (frequency * time + phase))
        return math.sqrt(2 / WAVES) * waves.sum(-1, keepdim=True)
