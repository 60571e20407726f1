"""Parity of bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator

from rnnkit.compare.objective import IGNORED
from rnnkit.compare.task import Batch, GeneratedTask
from rnnkit.kind import Paper


@dataclass(frozen=True)
class Parity(GeneratedTask):
    """Say at each step whether the number of ones so far is odd, on sequences longer than those of the training."""

    train_length: Annotated[int, Field(ge=1)] = 40
    """Steps of the longest training sequences; the length of each batch is drawn from 1 to it."""
    test_length: Annotated[int, Field(ge=2)] = 256
    """Steps of the test sequences, in whose second half the answers count."""

    name = "parity"
    summary = "Say at each step whether the number of ones so far is odd."
    measures = "state tracking at lengths beyond the training, which linear recurrences with positive decays cannot do"
    source = Paper(
        title="Unlocking State-Tracking in Linear RNNs Through Negative Eigenvalues",
        authors="Riccardo Grazzi, Julien Siems, Arber Zela, Jörg K. H. Franke, Frank Hutter, Massimiliano Pontil",
        year=2024,
        link="https://arxiv.org/abs/2411.12537",
    )

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 1, "output_size": 2, "readout": "all"}

    def draw(self, size: int, generator: Generator, *, testing: bool) -> Batch:
        training_length = int(torch.randint(1, self.train_length + 1, (), generator=generator))
        length = self.test_length if testing else training_length
        bits = torch.randint(2, (size, length), generator=generator)
        target = bits.cumsum(1) % 2
        if testing:
            target[:, : length // 2] = IGNORED
        return Batch(2.0 * bits[..., None] - 1, target)
