"""The initial biases of the forget gate and the input gate of an LSTM."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def init_forget_bias(bias_ih: Tensor, bias_hh: Tensor, value: float) -> None:
    """Initialize the two biases of the forget gate, the second of four, so that their sum is `value`."""
    bias_ih.chunk(4)[1].fill_(value)
    bias_hh.chunk(4)[1].zero_()


@torch.no_grad()
def init_chrono_bias(bias_ih: Tensor, bias_hh: Tensor, value: Tensor) -> None:
    """Initialize the biases of the forget gate to the sum `value`, and those of the input gate to its negative.

    Args:
        bias_ih: `(4 * hidden_size,)`, in the order i, f, g, o.
        bias_hh: `(4 * hidden_size,)`.
        value: `(hidden_size,)`.
    """
    size = len(value)
    bias_ih[: 2 * size].copy_(torch.cat([-value, value]))
    bias_hh[: 2 * size].zero_()
