"""Verification: an exported model gives the outputs of the model at sizes that it was not exported with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from rnnkit.errors import ExportError
from rnnkit.export._flat_model import FlatModel

EXAMPLE = (3, 7)
"""Batch and time of the inputs that a model is traced with; neither is 0 or 1, which torch takes for constants."""

_SIZES = ((1, 1), (2, 9), (5, 4))

TOLERANCE = 1e-5
"""The largest accepted difference, relative to the largest value of an output."""

Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]


class Difference(NamedTuple):
    """How far an output of an exported model is from the model's own.

    Attributes:
        relative: the largest difference of a value, divided by the largest value of the output over all sizes.
        output: the name of the output.
        batch: number of sequences.
        time: number of steps.
    """

    relative: float
    output: str
    batch: int
    time: int


def largest_difference(flat: FlatModel, run: Run) -> Difference:
    """Run a model and its export on random inputs of several sizes, and return the largest difference.

    Raises:
        ExportError: the model itself returns values that are not finite.
    """
    found = [each for batch, time in _SIZES for each in _differences(flat, run, batch, time)]
    scales = {name: max(scale for difference, scale in found if difference.output == name) for name in flat.outputs}
    relative = [each._replace(relative=_relative(each.relative, scales[each.output])) for each, _ in found]
    return max(relative)


def verify(flat: FlatModel, run: Run, tolerance: float, what: str) -> float:
    """Return the largest difference of an exported model, `what` in messages.

    Raises:
        ExportError: it is larger than `tolerance`.
    """
    worst = largest_difference(flat, run)
    if not worst.relative <= tolerance:
        raise ExportError(
            f"{what} differs from the model: by {worst.relative:.1e} in {worst.output!r}, relative to its largest "
            f"value, with batch={worst.batch} and time={worst.time}, but the tolerance is {tolerance:.1e}. "
            "Nothing was written. Export it with native=False, or accept the difference with a larger tolerance"
        )
    return worst.relative


def _differences(flat: FlatModel, run: Run, batch: int, time: int) -> Iterator[tuple[Difference, float]]:
    """Yield the absolute difference and the largest value of each output."""
    inputs = flat.random_inputs(batch, time)
    expected = flat.run(*inputs)
    for name, one, other in zip(flat.outputs, expected, run(inputs), strict=True):
        scale = _largest(one)
        if not math.isfinite(scale):
            raise ExportError(
                f"The model cannot be verified: {name!r} is not finite for random inputs. Check its weights, or export "
                "it with verify=False"
            )
        yield Difference(_distance(one, other), name, batch, time), scale


def _distance(one: Tensor, other: Tensor) -> float:
    """Return the largest difference of two tensors; infinite if they have different shapes or dtypes, or for NaN."""
    other = other.to(one.device)
    if one.shape != other.shape or one.dtype != other.dtype:
        return math.inf
    if not one.is_floating_point():
        return 0.0 if bool((one == other).all()) else math.inf
    return _largest((one - other).nan_to_num(nan=math.inf))


def _largest(tensor: Tensor) -> float:
    return float(tensor.double().abs().max()) if tensor.numel() else 0.0


def _relative(difference: float, scale: float) -> float:
    return difference / scale if scale else difference
