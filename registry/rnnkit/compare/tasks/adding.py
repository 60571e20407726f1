"""The adding problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator

from rnnkit.compare.objective import REGRESSION, Objective
from rnnkit.compare.task import Batch, GeneratedTask
from rnnkit.kind import Paper


@dataclass(frozen=True)
class Adding(GeneratedTask):
    """Add the two marked numbers of a sequence of random numbers; each half has one mark."""

    length: Annotated[int, Field(ge=2)] = 100
    """Steps of a sequence."""

    name = "adding"
    summary = "Add the two marked numbers of a sequence."
    measures = "memory of two values over half of the sequence and more"
    source = Paper(
        title="Long Short-Term Memory",
        authors="Sepp Hochreiter, Jürgen Schmidhuber",
        year=1997,
        link="https://doi.org/10.1162/neco.1997.9.8.1735",
    )

    @property
    def objective(self) -> Objective:
        return REGRESSION

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 2, "output_size": 1}

    def draw(self, size: int, generator: Generator, *, testing: bool) -> Batch:  # noqa: ARG002  # all are equally long
        numbers, marks = torch.rand(size, self.length, generator=generator), torch.zeros(size, self.length)
        half = self.length // 2
        first = torch.randint(half, (size,), generator=generator)
        second = torch.randint(half, self.length, (size,), generator=generator)
        rows = torch.arange(size)
        marks[rows, first] = marks[rows, second] = 1
        return Batch(torch.stack([numbers, marks], -1), (numbers * marks).sum(1, keepdim=True))
