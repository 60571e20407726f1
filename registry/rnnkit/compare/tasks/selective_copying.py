"""Selective copying."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator

from rnnkit.compare.objective import IGNORED
from rnnkit.compare.task import Batch, GeneratedTask
from rnnkit.errors import CompareError
from rnnkit.kind import Paper

SYMBOLS = 14
BLANK, REQUEST = SYMBOLS, SYMBOLS + 1  # the other tokens


@dataclass(frozen=True)
class SelectiveCopying(GeneratedTask):
    """Repeat symbols that stand at random places among blanks, one at each request."""

    length: Annotated[int, Field(ge=1)] = 64
    """Steps before the first request."""
    symbols: Annotated[int, Field(ge=1)] = 8
    """Symbols among them; all other steps are blank."""

    name = "selective_copying"
    summary = "Repeat the symbols that stand at random places among blanks."
    measures = "gates that depend on the input: memory that keeps symbols and ignores blanks"
    source = Paper(
        title="Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
        authors="Albert Gu, Tri Dao",
        year=2023,
        link="https://arxiv.org/abs/2312.00752",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.symbols > self.length:
            raise CompareError(
                f"Task {self.name!r}: symbols={self.symbols} do not fit into length={self.length}; use "
                f"length >= {self.symbols}"
            )

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 16, "num_embeddings": SYMBOLS + 2, "output_size": SYMBOLS, "readout": "all"}

    def draw(self, size: int, generator: Generator, *, testing: bool) -> Batch:  # noqa: ARG002  # all are equally long
        symbols = torch.randint(SYMBOLS, (size, self.symbols), generator=generator)
        places = torch.rand(size, self.length, generator=generator).argsort(1)[:, : self.symbols].sort(1).values
        tokens = torch.full((size, self.length), BLANK).scatter(1, places, symbols)
        tokens = torch.cat([tokens, torch.full_like(symbols, REQUEST)], 1)
        target = torch.full_like(tokens, IGNORED)
        target[:, -self.symbols :] = symbols
        return Batch(tokens, target)
