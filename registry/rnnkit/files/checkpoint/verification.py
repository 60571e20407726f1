"""How far the outputs of a model that was loaded are from those with which it was saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from rnnkit.files.checkpoint.fingerprint import device_of, run_fingerprint
from rnnkit.files.checkpoint.record import Fingerprint, Record
from rnnkit.files.checkpoint.versions import LockDifference, installed_lock, lock_differences
from rnnkit.model import RecurrentModel

_TF32 = 2.0**-10  # to which cuDNN rounds float32 unless told otherwise


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What `verify_model` has found.

    Attributes:
        path: of the file.
        ok: whether the outputs are those with which the model was saved, up to rounding.
        drift: the largest absolute difference between an output or state and the one in the file; None: there is
            nothing to compare.
        relative_drift: the same, in units of the largest value in the file.
        tolerance: up to which relative drift it counts as rounding: two thirds of the digits of the model's least
            precise dtype.
        differences: versions that have changed since the model was saved.
        reason: why there is nothing to compare; empty: there is.
    """

    path: str
    ok: bool
    drift: float | None
    relative_drift: float | None
    tolerance: float
    differences: tuple[LockDifference, ...]
    reason: str


def verification_of(path: str, record: Record, model: RecurrentModel) -> Verification:
    """Hold a model that was just loaded against the fingerprint in its file."""
    now = run_fingerprint(model)
    reason = _reason(record.fingerprint, now)
    drift = None if reason else _largest_difference(_values(record.fingerprint), _values(now))
    relative = None if drift is None else _relative(drift, _values(record.fingerprint))
    tolerance = _tolerance(model)
    return Verification(
        path=path,
        ok=relative is not None and relative <= tolerance,
        drift=drift,
        relative_drift=relative,
        tolerance=tolerance,
        differences=lock_differences(record.lock, installed_lock(model.spec.kind)),
        reason=reason,
    )


def _reason(saved: Fingerprint, now: Fingerprint) -> str:
    if saved.reason:
        return f"The model could not run where it was saved: {saved.reason}"
    return f"The model cannot run here: {now.reason}" if now.reason else ""


def _values(fingerprint: Fingerprint) -> list[float]:
    return [float(value) for value in (*fingerprint.output, *fingerprint.state)]


def _largest_difference(saved: Sequence[float], now: Sequence[float]) -> float:
    if len(saved) != len(now):
        return math.inf
    return max(map(_difference, saved, now), default=0.0)


def _difference(saved: float, now: float) -> float:
    """Not a number is as far from a number as can be, and not at all from its like."""
    if saved == now or (math.isnan(saved) and math.isnan(now)):
        return 0.0
    difference = abs(saved - now)
    return math.inf if math.isnan(difference) else difference


def _relative(drift: float, saved: Sequence[float]) -> float:
    largest = max((abs(value) for value in saved if math.isfinite(value)), default=0.0)
    return drift if drift in (0.0, math.inf) else drift / largest if largest else math.inf


def _tolerance(model: nn.Module) -> float:
    dtypes = {tensor.dtype for tensor in (*model.parameters(), *model.buffers())}
    precisions = [torch.finfo(dtype).eps for dtype in dtypes if dtype.is_floating_point or dtype.is_complex]
    coarse = [_TF32] if device_of(model).type == "cuda" and torch.float32 in dtypes else []
    return float(max([*precisions, *coarse], default=torch.finfo(torch.float64).eps) ** (2 / 3))
