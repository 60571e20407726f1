"""The flip-flop language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator, Tensor

from rnnkit.compare.objective import IGNORED
from rnnkit.compare.task import Batch, GeneratedTask
from rnnkit.kind import Paper

WRITE, READ, IGNORE = 2, 3, 4  # the instructions; the tokens 0 and 1 are bits


@dataclass(frozen=True)
class FlipFlop(GeneratedTask):
    """Read the bit that was written last, among bits to ignore, on sequences longer than those of the training.

    A sequence is pairs of an instruction and a bit. The bit after `WRITE` is stored, the bit after `IGNORE` is random,
    and the bit after `READ` is the one that was written last, which the model has to predict from the instruction. The
    first instruction is `WRITE`, the last one `READ`; each other one is `WRITE` or `READ` with equal probabilities.
    """

    train_length: Annotated[int, Field(ge=4, multiple_of=2)] = 40
    """Steps of the training sequences, two for each instruction."""
    test_length: Annotated[int, Field(ge=4, multiple_of=2)] = 256
    """Steps of the test sequences, in whose second half the answers count."""
    ignore: Annotated[float, Field(ge=0, lt=1)] = 0.8
    """Probability of the instruction `IGNORE`."""

    name = "flip_flop"
    summary = "Read the bit that was written last, among bits to ignore."
    measures = "a memory that inputs overwrite, at lengths beyond the training"
    source = Paper(
        title="Exposing Attention Glitches with Flip-Flop Language Modeling",
        authors="Bingbin Liu, Jordan T. Ash, Surbhi Goel, Akshay Krishnamurthy, Cyril Zhang",
        year=2023,
        link="https://arxiv.org/abs/2306.00946",
    )

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 8, "num_embeddings": 5, "output_size": 2, "readout": "all"}

    def draw(self, size: int, generator: Generator, *, testing: bool) -> Batch:
        pairs = (self.test_length if testing else self.train_length) // 2
        instructions = self._instructions(size, pairs, generator)
        bits = torch.randint(2, (size, pairs), generator=generator)
        bits = torch.where(instructions == READ, _last_written(instructions, bits), bits)
        answers = torch.where(instructions == READ, bits, IGNORED)
        if testing:
            answers[:, : pairs // 2] = IGNORED
        tokens = torch.stack([instructions, bits], -1).flatten(1)
        target = torch.stack([answers, torch.full_like(answers, IGNORED)], -1).flatten(1)
        return Batch(tokens, target)

    def _instructions(self, size: int, pairs: int, generator: Generator) -> Tensor:
        ignored = torch.rand(size, pairs, generator=generator) < self.ignore
        instructions = torch.randint(WRITE, READ + 1, (size, pairs), generator=generator).masked_fill(ignored, IGNORE)
        instructions[:, 0], instructions[:, -1] = WRITE, READ
        return instructions


def _last_written(instructions: Tensor, bits: Tensor) -> Tensor:
    """Return at each instruction the bit of the latest `WRITE`, `(batch, pairs)`."""
    numbers = torch.arange(bits.shape[1]).expand_as(bits)
    latest = numbers.where(instructions == WRITE, 0).cummax(1).values
    return bits.gather(1, latest)
