"""The dtype that autocast computes in, for kernels whose arguments autocast does not cast in time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def cast_for_autocast(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Cast tensors to the dtype of autocast, if it is enabled for their device; float64 stays, as with autocast."""
    device_type = tensors[0].device.type
    if not (torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)):
        return list(tensors)
    dtype = torch.get_autocast_dtype(device_type)
    return [each if each.dtype == torch.float64 else each.to(dtype) for each in tensors]


def cast_for_onednn(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Cast the input and the state of `torch.lstm` on the CPU to the dtype of autocast, if it is enabled.

    torch chooses oneDNN's LSTM by the dtype of its arguments, and only then does autocast cast them: to float16 in
    training, for example, for which oneDNN has no LSTM, and the call fails.
    """
    if tensors[0].is_cpu and torch.is_autocast_enabled("cpu"):
        return cast_for_autocast(tensors)
    return list(tensors)
