"""Verification of a loaded model: changed versions, and how far its outputs are from the saved fingerprint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnkit._version import __version__
from rnnkit.files.checkpoint._fingerprint import device_of, run_fingerprint
from rnnkit.files.checkpoint._record import Fingerprint, Lock, Record
from rnnkit.model import RecurrentModel
from rnnkit.specs import RecurrentSpec, plugin_of, readout_plugin_of

_TF32_EPS = 2.0**-10  # cuDNN computes float32 in TF32 by default


class LockDifference(NamedTuple):
    """A version that differs between saving and loading a model.

    Attributes:
        name: `rnnkit`, `plugin`, `readout_plugin` or `torch`.
        saved: the version in the file, for the plugin with its distribution; None: the kind was a local one.
        installed: the installed version; None: the kind is a local one.
    """

    name: str
    saved: str | None
    installed: str | None


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The result of `verify_model`.

    Attributes:
        path: path of the file.
        ok: whether the outputs equal the saved ones up to rounding.
        drift: largest absolute difference of an output or a state from the saved one; None: nothing to compare.
        relative_drift: the same, divided by the largest saved value.
        tolerance: largest relative drift that counts as rounding: two thirds of the digits of the model's least
            precise dtype.
        differences: the versions that have changed since the model was saved.
        reason: why there is nothing to compare; empty if there is.
    """

    path: str
    ok: bool
    drift: float | None
    relative_drift: float | None
    tolerance: float
    differences: tuple[LockDifference, ...]
    reason: str


def compare_fingerprint(path: str, record: Record, model: RecurrentModel) -> Verification:
    """Compare a loaded model with the fingerprint in its file."""
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
        differences=lock_differences(record.lock, installed_lock(model.spec)),
        reason=reason,
    )


def installed_lock(spec: RecurrentSpec[Any]) -> Lock:
    """Return the installed versions."""
    return Lock(
        rnnkit=__version__,
        plugin=plugin_of(spec.kind),
        torch=torch.__version__.partition("+")[0],
        readout_plugin=readout_plugin_of(spec.readout),
    )


def lock_differences(saved: Lock, installed: Lock) -> tuple[LockDifference, ...]:
    """Return the versions that differ, except for a readout without a saved one: the file may be an old one."""
    names = ("rnnkit", "plugin", "readout_plugin", "torch")
    pairs = [LockDifference(name, getattr(saved, name), getattr(installed, name)) for name in names]
    unknown = LockDifference("readout_plugin", None, installed.readout_plugin)
    return tuple(pair for pair in pairs if pair.saved != pair.installed and pair != unknown)


def _reason(saved: Fingerprint, now: Fingerprint) -> str:
    if saved.reason:
        return f"The model could not run when it was saved: {saved.reason}"
    return f"The model cannot run here: {now.reason}" if now.reason else ""


def _values(fingerprint: Fingerprint) -> Tensor:
    values = [float(value) for value in (*fingerprint.output, *fingerprint.state)]
    return torch.tensor(values, dtype=torch.float64, device="cpu")


def _largest_difference(saved: Tensor, now: Tensor) -> float:
    """NaN equals NaN, and is infinitely far from any number."""
    if saved.shape != now.shape:
        return math.inf
    equal = (saved == now) | (saved.isnan() & now.isnan())
    difference = torch.where(equal, 0.0, (saved - now).abs()).nan_to_num(nan=math.inf, posinf=math.inf)
    return max(difference.tolist(), default=0.0)


def _relative(drift: float, saved: Tensor) -> float:
    largest = max(saved[saved.isfinite()].abs().tolist(), default=0.0)
    return drift if drift in (0.0, math.inf) else drift / largest if largest else math.inf


def _tolerance(model: nn.Module) -> float:
    dtypes = {tensor.dtype for tensor in (*model.parameters(), *model.buffers())}
    precisions = [torch.finfo(dtype).eps for dtype in dtypes if dtype.is_floating_point or dtype.is_complex]
    tf32 = [_TF32_EPS] if device_of(model).type == "cuda" and torch.float32 in dtypes else []
    return float(max([*precisions, *tf32], default=torch.finfo(torch.float64).eps) ** (2 / 3))
