"""Handwritten digits, pixel by pixel or row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from rnnkit.compare.task import Batch, DatasetTask, Splits
from rnnkit.compare.tasks.preparation import split


@dataclass(frozen=True)
class Digits(DatasetTask):
    """Recognize the 1,797 handwritten digits of scikit-learn, which have 8x8 pixels.

    60 % are for training, 20 % for validation and 20 % for the test, with equal shares of each digit.
    """

    order: Literal["rows", "pixels", "permuted"] = "rows"
    """`"rows"`: 8 steps of a row of 8 pixels; `"pixels"`: 64 steps of a pixel, row after row; `"permuted"`: the pixels
    in a fixed random order."""

    name = "digits"
    summary = "Recognize handwritten digits."
    measures = "classification of short sequences; by pixel, of longer ones, and permuted, without local structure"
    source = (
        "Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, 1998), as in scikit-learn: "
        "https://archive.ics.uci.edu/dataset/80 and, by pixel and permuted, https://arxiv.org/abs/1504.00941"
    )

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 8 if self.order == "rows" else 1, "output_size": 10}

    def missing(self) -> str:
        return "" if find_spec("sklearn") else "scikit-learn: pip install 'rnnkit[compare]'"

    def load(self) -> Splits:
        return _load(self.order)


@cache
def _load(order: str) -> Splits:
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    x, target = _ordered(torch.tensor(digits.images / 16, dtype=torch.float32), order), torch.tensor(digits.target)
    return Splits(*[Batch(x[part], target[part]) for part in split(len(x), strata=digits.target)])


def _ordered(images: Tensor, order: str) -> Tensor:
    """Return images `(images, 8, 8)` as sequences."""
    if order == "rows":
        return images
    pixels = images.flatten(1)[..., None]
    return pixels if order == "pixels" else pixels[:, np.random.RandomState(0).permutation(64)]
