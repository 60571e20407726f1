"""Whether two results can be compared at all: those of a chaotic kind are rounding errors after some steps."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from rnnkit.testing._comparison import largest_difference, leaves

_PERTURBATION = 1e-12
_STABLE = 1e-8  # the largest relative effect of a perturbation with which results can be compared


def perturbed_input(x: Tensor) -> Tensor:
    """An input that is a little larger."""
    return x * (1 + _PERTURBATION)


def is_stable(result: Any, perturbed: Any) -> bool:
    """Whether a result is close to that of the perturbed input."""
    return relative_difference(perturbed, result) <= _STABLE


def relative_difference(actual: Any, expected: Any) -> float:
    """The largest difference of two results relative to the largest value; infinite if only one is finite."""
    actual, expected = ([part.detach().double() for part in leaves(each)] for each in (actual, expected))
    largest = max((float(part.abs().max()) for part in expected if part.numel()), default=0.0)
    return largest_difference(actual, expected, relative=0, absolute=0).size / max(largest, 1e-300)
