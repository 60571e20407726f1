"""Data sets of recordings that sktime ships."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from rnnkit.compare.task import Batch, DatasetTask, Splits
from rnnkit.compare.tasks.preparation import Indices, lengths_of, pad, split, standardize


@dataclass(frozen=True)
class Recordings(DatasetTask):
    """A data set of sktime with its own test; of the other recordings a fifth is for validation.

    Attributes:
        loader: the name of its loader in `sktime.datasets`.
    """

    loader: ClassVar[str]

    def missing(self) -> str:
        return "" if find_spec("sktime") else "sktime, which ships the data: pip install sktime"

    def load(self) -> Splits:
        return _load(self.loader)


@cache
def _load(loader: str) -> Splits:
    from sktime import datasets

    load = getattr(datasets, loader)
    (x, labels), (x_test, labels_test) = (load(split=each, return_type="df-list") for each in ("train", "test"))
    sequences = [each.to_numpy(np.float64) for each in [*x, *x_test]]
    targets = np.unique(np.concatenate([labels, labels_test]), return_inverse=True)[1]
    training, validation, other = split(len(labels), strata=labels)
    parts = np.concatenate([training, other]), validation, np.arange(len(labels), len(sequences))
    return Splits(*[_batch(standardize(sequences, parts[0]), targets, part) for part in parts])


def _batch(sequences: Sequence[NDArray[Any]], targets: NDArray[Any], part: Indices) -> Batch:
    chosen = [sequences[each].astype(np.float32) for each in part]
    return Batch(pad(chosen), torch.as_tensor(targets[part]), lengths_of(chosen))
