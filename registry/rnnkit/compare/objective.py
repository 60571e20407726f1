"""The objective of a task: its loss, its score, and the score of a constant answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit.errors import CompareError

IGNORED = -100
"""The class of a step that has no target. In a regression it is NaN."""


class Objective(NamedTuple):
    """A loss and a score, as functions of outputs and targets.

    Outputs have the shape `(..., classes)` for targets `(...)` of classes, and the shape of the targets for values.
    Steps without a target do not count.

    Attributes:
        metric: the name of the score.
        higher_is_better: whether a higher score is better.
        loss: the differentiable function that training minimizes.
        score: the reported function; NaN if an output that counts is NaN.
        chance: the score of the best constant answer, as a function of the targets.

    Raises:
        CompareError: no step has a target, the shapes of outputs and targets do not fit, or the score of a regression
            is not defined because the targets are constant.
    """

    metric: str
    higher_is_better: bool
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], float]
    chance: Callable[[Tensor], float]


def _known_classes(target: Tensor) -> Tensor:
    """Return which targets count, `(...)`."""
    if target.is_floating_point():
        raise CompareError(f"The targets of a classification must be integers, but are {target.dtype}")
    return _some(target != IGNORED, f"the class {IGNORED}")


def _known_values(target: Tensor) -> Tensor:
    return _some(~target.isnan(), "NaN")


def _some(known: Tensor, missing: str) -> Tensor:
    if not known.any():
        raise CompareError(f"No step has a target: all {known.numel()} targets are {missing}")
    return known


def _cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    known = _known_classes(target)
    _require_shape(output, output.shape[:-1], target)
    return F.cross_entropy(output[known], target[known])


def _accuracy(output: Tensor, target: Tensor) -> float:
    known = _known_classes(target)
    _require_shape(output, output.shape[:-1], target)
    if output[known].isnan().any():  # whose `argmax` would be an answer
        return math.nan
    return (output.argmax(-1) == target)[known].float().mean().item()


def _largest_class(target: Tensor) -> float:
    classes = target[_known_classes(target)]
    return (classes.bincount().max() / classes.numel()).item()


def _squared_error(output: Tensor, target: Tensor) -> Tensor:
    known = _known_values(target)
    _require_shape(output, output.shape, target)
    return (output[known] - target[known]).square().mean()


def _normalized_error(output: Tensor, target: Tensor) -> float:
    error = _squared_error(output, target)
    values = target.double()
    mean = values.flatten(0, -2).nanmean(0).expand_as(values)  # of each output: the best constant answer
    variance = (values - mean)[~values.isnan()].square().mean()
    if variance <= 1e-24 * mean.nan_to_num().square().mean():  # rounding errors
        raise CompareError("The NRMSE is not defined, because the targets are constant")
    return (error / variance).sqrt().item()


def _mean_value(target: Tensor) -> float:
    """Return the NRMSE of the mean, which is 1 by its definition."""
    _known_values(target)
    return 1.0


def _bits(output: Tensor, target: Tensor) -> float:
    return _cross_entropy(output, target).item() / math.log(2)


def _entropy(target: Tensor) -> float:
    share = target[_known_classes(target)].bincount().double()
    share = share[share > 0] / share.sum()
    return -(share * share.log2()).sum().item()


def _require_shape(output: Tensor, shape: torch.Size, target: Tensor) -> None:
    """Check the shape of targets: another one could be broadcast to a wrong result."""
    if target.shape != shape:
        raise CompareError(
            f"The targets have the shape {tuple(target.shape)}, but must have the shape {tuple(shape)} for outputs of "
            f"shape {tuple(output.shape)}"
        )


CLASSIFICATION = Objective("accuracy", True, _cross_entropy, _accuracy, _largest_class)
"""Cross-entropy; the score is the share of right answers."""

REGRESSION = Objective("NRMSE", False, _squared_error, _normalized_error, _mean_value)
"""Mean squared error; the score is its root over the standard deviation of the targets, around the mean of each
output."""

LANGUAGE = Objective("bits", False, _cross_entropy, _bits, _entropy)
"""Cross-entropy; the score is the same in bits per token."""
