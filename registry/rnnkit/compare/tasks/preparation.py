"""Split, standardize and pad the sequences of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

Indices = NDArray[np.intp]
PATTERN = np.array([0, 0, 0, 1, 2])  # of five sequences, three are for training


def split(count: int, *, strata: NDArray[Any] | None = None, seed: int = 0) -> tuple[Indices, Indices, Indices]:
    """Return the indices for training, validation and test: 60, 20 and 20 % of `count`.

    Args:
        count: the number of sequences.
        strata: their classes, of which each part gets equal shares.
        seed: of the random order. The parts are the same in all versions of NumPy.
    """
    order = np.random.RandomState(seed).permutation(count)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    part = np.resize(PATTERN, count)
    training, validation, test = (np.sort(order[part == each]) for each in range(3))
    return training, validation, test


def standardize(sequences: Sequence[NDArray[Any]], training: Indices) -> list[NDArray[Any]]:
    """Return sequences `(time, features)`, each feature with mean 0 and variance 1 in those of the training.

    A feature that is constant there becomes 0 there.
    """
    known = np.concatenate([sequences[each] for each in training]).astype(np.float64)
    _, exponent = np.frexp(np.abs(known).max(0))
    exponent = np.maximum(exponent, -1021)  # 2 to the power of -exponent must be finite
    known = np.ldexp(known, -exponent)  # without rounding: squares of very large and small values are out of range
    constant = known.max(0) == known.min(0)
    mean = np.where(constant, known[0], known.mean(0))  # the mean of equal values may be rounded
    deviation = np.where(constant, np.ldexp(1.0, -exponent), known.std(0))
    return [(np.ldexp(each, -exponent) - mean) / deviation for each in sequences]


def pad(sequences: Sequence[NDArray[Any]], value: float = 0.0) -> Tensor:
    """Return sequences of different lengths as `(batch, time, ...)`."""
    return pad_sequence([torch.as_tensor(each) for each in sequences], batch_first=True, padding_value=value)


def lengths_of(sequences: Sequence[NDArray[Any]]) -> Tensor | None:
    """Return the number of steps of each, `(batch,)`; None if all are equally long."""
    lengths = torch.tensor([len(each) for each in sequences])
    return None if (lengths == lengths[0]).all() else lengths
