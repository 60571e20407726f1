"""Copy memory."""

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

SYMBOLS = 8
BLANK, REQUEST = SYMBOLS, SYMBOLS + 1  # the other tokens


@dataclass(frozen=True)
class Copying(GeneratedTask):
    """Repeat symbols after a gap, one at each request; the distance is always the same."""

    gap: Annotated[int, Field(ge=0)] = 50
    """Blank steps between the symbols and the first request."""
    symbols: Annotated[int, Field(ge=1)] = 10
    """Symbols of a sequence."""

    name = "copying"
    summary = "Repeat symbols after a gap."
    measures = "exact memory of many values over a fixed distance"
    source = Paper(
        title="Unitary Evolution Recurrent Neural Networks",
        authors="Martin Arjovsky, Amar Shah, Yoshua Bengio",
        year=2016,
        link="https://arxiv.org/abs/1511.06464",
    )

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 16, "num_embeddings": SYMBOLS + 2, "output_size": SYMBOLS, "readout": "all"}

    def draw(self, size: int, generator: Generator, *, testing: bool) -> Batch:  # noqa: ARG002  # all are equally long
        symbols = torch.randint(SYMBOLS, (size, self.symbols), generator=generator)
        blanks, requests = torch.full((size, self.gap), BLANK), torch.full((size, self.symbols), REQUEST)
        tokens = torch.cat([symbols, blanks, requests], 1)
        target = torch.full_like(tokens, IGNORED)
        target[:, -self.symbols :] = symbols
        return Batch(tokens, target)
