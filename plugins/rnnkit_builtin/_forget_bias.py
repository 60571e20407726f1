"""The initial bias of the forget gate of an LSTM."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def init_forget_bias(bias_ih: Tensor, bias_hh: Tensor, value: float) -> None:
    """Initialize the two biases of the forget gate, the second of four, so that their sum is `value`."""
    bias_ih.chunk(4)[1].fill_(value)
    bias_hh.chunk(4)[1].zero_()
