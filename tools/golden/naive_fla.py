"""The step loops of flash-linear-attention, by the authors of GLA and DeltaNet, in float64."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tools.golden.record import Array

VERSION = "flash-linear-attention 0.6.0"


def naive(operator: str) -> Any:
    """Return the functions of `fla/ops/OPERATOR/naive.py`, which import no GPU code and compute in float32."""
    # pip install --no-deps fla-core==0.6.0 einops
    spec = importlib.util.find_spec("fla")
    if spec is None or spec.origin is None:
        raise ImportError("fla is not installed")
    path = Path(spec.origin).parent / "ops" / operator / "naive.py"
    source = path.read_text().replace("float32", "float64").replace(".float()", ".double()")
    functions: dict[str, Any] = {}
    exec(compile(source, str(path), "exec"), functions)  # noqa: S102  # importing it would import GPU code
    return SimpleNamespace(**functions)


def of_heads(x: Array, heads: int) -> Tensor:
    """Return `(batch, time, heads, features)`."""
    tensor: Tensor = torch.from_numpy(x)
    split: Tensor = tensor.unflatten(-1, (heads, -1))
    return split


def to_numpy(x: Tensor) -> Array:
    """Return the values of a tensor."""
    return np.asarray(x.numpy(), dtype=np.float64)
