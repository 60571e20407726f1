"""The dtype that autocast computes in, for a kernel that torch chooses before autocast casts its arguments."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def cast_for_autocast(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Cast the input and the state of `torch.lstm` on the CPU to the dtype of autocast, if it is enabled.

    torch chooses oneDNN's LSTM by the dtype of its arguments, and only then does autocast cast them: to float16 in
    training, for example, for which oneDNN has no LSTM, and the call fails.
    """
    if tensors[0].device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return list(tensors)
    dtype = torch.get_autocast_dtype("cpu")
    # autocast leaves float64 as it is
    return [each if each.dtype == torch.float64 else each.to(dtype) for each in tensors]
