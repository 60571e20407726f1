"""What a task minimizes and what it reports: loss, score, and the score of a constant answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

IGNORED = -100
"""The class of a step that has no target. In a regression it is NaN."""


class Objective(NamedTuple):
    """A loss and a score, as functions of outputs and targets.

    Attributes:
        metric: the name of the score.
        higher_is_better: whether a higher score is better.
        loss: what is minimized, differentiable.
        score: what is reported.
        chance: the score of the best constant answer, as a function of the targets.
    """

    metric: str
    higher_is_better: bool
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], float]
    chance: Callable[[Tensor], float]


def _cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, -2), target.flatten(), ignore_index=IGNORED)


def _accuracy(output: Tensor, target: Tensor) -> float:
    known = target != IGNORED
    return (output.argmax(-1) == target)[known].float().mean().item()


def _largest_class(target: Tensor) -> float:
    classes = target[target != IGNORED]
    return (classes.bincount().max() / classes.numel()).item()


def _squared_error(output: Tensor, target: Tensor) -> Tensor:
    known = ~target.isnan()
    return (output[known] - target[known]).square().mean()


def _normalized_error(output: Tensor, target: Tensor) -> float:
    known = target[~target.isnan()]
    return (_squared_error(output, target).sqrt() / known.std(correction=0)).item()


def _bits(output: Tensor, target: Tensor) -> float:
    return _cross_entropy(output, target).item() / math.log(2)


def _entropy(target: Tensor) -> float:
    share = target[target != IGNORED].bincount().float()
    share = share[share > 0] / share.sum()
    return -(share * share.log2()).sum().item()


CLASSIFICATION = Objective("accuracy", True, _cross_entropy, _accuracy, _largest_class)
"""Cross-entropy; the score is the share of right answers."""

REGRESSION = Objective("NRMSE", False, _squared_error, _normalized_error, lambda _: 1.0)
"""Mean squared error; the score is its root over the standard deviation of the targets."""

LANGUAGE = Objective("bits", False, _cross_entropy, _bits, _entropy)
"""Cross-entropy; the score is the same in bits per token."""
