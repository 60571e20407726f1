"""Associative recall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator

from rnnkit.compare.task import Batch, GeneratedTask
from rnnkit.kind import Paper


@dataclass(frozen=True)
class Recall(GeneratedTask):
    """Read pairs of a key and a value, then one of the keys again, and answer with its value."""

    pairs: Annotated[int, Field(ge=1)] = 6
    """Pairs of a sequence, whose keys differ. There are twice as many keys, and as many values as keys."""

    name = "recall"
    summary = "Answer with the value that was paired with a key."
    measures = "lookup by content, for which a state needs room for all pairs"
    source = Paper(
        title="Using Fast Weights to Attend to the Recent Past",
        authors="Jimmy Ba, Geoffrey Hinton, Volodymyr Mnih, Joel Z. Leibo, Catalin Ionescu",
        year=2016,
        link="https://arxiv.org/abs/1610.06258",
    )

    @property
    def keys(self) -> int:
        """The number of keys, and of values."""
        return 2 * self.pairs

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 16, "num_embeddings": 2 * self.keys, "output_size": self.keys}

    def draw(self, size: int, generator: Generator, *, testing: bool) -> Batch:  # noqa: ARG002  # all are equally long
        keys = torch.rand(size, self.keys, generator=generator).argsort(1)[:, : self.pairs]
        values = torch.randint(self.keys, (size, self.pairs), generator=generator)
        asked = torch.randint(self.pairs, (size, 1), generator=generator)
        pairs = torch.stack([keys, self.keys + values], -1).flatten(1)
        return Batch(torch.cat([pairs, keys.gather(1, asked)], 1), values.gather(1, asked).squeeze(1))
