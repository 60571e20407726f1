"""Sine waves that are sampled at irregular times."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator

from rnnkit.compare.objective import REGRESSION, Objective
from rnnkit.compare.task import Batch, GeneratedTask
from rnnkit.kind import Paper

WASHOUT = 8  # samples without a target, from which the frequency and the phase can be estimated
SHORTEST = 0.1  # time between samples; the mean is 1
PERIODS = (5.0, 20.0)


@dataclass(frozen=True)
class IrregularSine(GeneratedTask):
    """Predict a sine wave of random frequency and phase at each sample, from the sample before and the time since then.

    The features are the previous value and the elapsed time, which is 0.1 plus an exponentially distributed time, 1 on
    average. Periods are between 5 and 20. Feature 1 is the `time_feature` of the kinds that model time.
    """

    length: Annotated[int, Field(gt=WASHOUT)] = 64
    """Samples of a sequence; the first 8 have no target."""

    name = "irregular_sine"
    summary = "Predict a sine wave that is sampled at irregular times."
    measures = "use of the time between steps"
    source = Paper(
        title="Latent ODEs for Irregularly-Sampled Time Series",
        authors="Yulia Rubanova, Ricky T. Q. Chen, David Duvenaud",
        year=2019,
        link="https://arxiv.org/abs/1907.03907",
    )

    @property
    def objective(self) -> Objective:
        return REGRESSION

    @property
    def time_feature(self) -> int:
        return 1

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 2, "output_size": 1, "readout": "all"}

    def draw(self, size: int, generator: Generator, *, testing: bool) -> Batch:  # noqa: ARG002  # all are equally long
        elapsed = torch.empty(size, self.length + 1).exponential_(1 / (1 - SHORTEST), generator=generator) + SHORTEST
        shortest, longest = PERIODS
        period = shortest + (longest - shortest) * torch.rand(size, 1, generator=generator)
        phase = torch.rand(size, 1, generator=generator)
        values = torch.sin(2 * math.pi * (elapsed.cumsum(1) / period + phase))
        target = values[:, 1:, None].clone()
        target[:, :WASHOUT] = math.nan
        return Batch(torch.stack([values[:, :-1], elapsed[:, 1:]], -1), target)
