"""The sizes of the measured models."""

from __future__ import annotations

from typing import NamedTuple

OUTPUT_SIZE = 5


class Shape(NamedTuple):
    batch: int
    time: int
    input_size: int
    hidden_size: int
    num_layers: int

    def __str__(self) -> str:
        return ", ".join(f"{name.removesuffix('_size')} {size}" for name, size in self._asdict().items())


SHAPES = {
    "seed": Shape(3, 4, 10, 20, 2),
    "medium": Shape(32, 128, 64, 128, 2),
    "long": Shape(8, 1024, 32, 64, 1),
    "large": Shape(64, 128, 256, 512, 2),
}
