"""Which tensors of a model go into its file, and in what form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from rnnkit.files.checkpoint.safetensors_layout import DTYPES
from rnnkit.files.checkpoint.tied import shares_memory

_STORABLE = {getattr(torch, name) for _, name in DTYPES.values()}


def unstorable(tensors: Mapping[str, Any]) -> list[str]:
    """What keeps the entries of a `state_dict` out of a file; a line for each that it keeps out."""
    problems = {name: _problem(tensor) for name, tensor in tensors.items()}
    return [f"{name} {problem}" for name, problem in problems.items() if problem]


def stored(tensors: Mapping[str, Tensor], tied: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors as the file has them: each once, on the CPU, contiguous, with memory of its own."""
    copied = shares_memory(tensors)
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        if name in copied
        else tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if name not in tied
    }


def commonest_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """Of the numbers that training changes; torch's default if there are none."""
    dtypes = (tensor.dtype for tensor in tensors.values())
    counts = Counter(dtype for dtype in dtypes if dtype.is_floating_point or dtype.is_complex)
    return counts.most_common(1)[0][0] if counts else torch.get_default_dtype()


def _problem(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"is a {type(value).__name__}, no tensor"
    if is_lazy(value):
        return "has no values yet: run the model once"
    if type(value.detach()) is not Tensor or value.layout != torch.strided:
        return f"is a {type(value.detach()).__name__} of the layout {value.layout}, no plain dense tensor"
    if value.is_meta:
        return "is on the meta device, and so has no values"
    return "" if value.dtype in _STORABLE else f"has the dtype {value.dtype}, which safetensors does not have"
