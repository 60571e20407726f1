"""Weight initialization that torch does not have."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def chrono_(bias: Tensor, max_length: int) -> Tensor:
    """Fill the bias of a forget gate with log(u), u uniform in [1, max_length - 1], in place.

    A gate with the bias b forgets over about exp(b) steps, so that the features remember over all times up to
    `max_length` (Tallec and Ollivier, 2018, arXiv 1804.11188, equation 16). The bias of an input gate, if there is one,
    is the negative.

    Args:
        bias: `(hidden_size,)`.
        max_length: number of steps of the longest dependencies, at least 3.

    Raises:
        ValueError: `max_length` is below 3.
    """
    if max_length < 3:
        raise ValueError(f"max_length must be at least 3, but is {max_length}")
    return bias.uniform_(1, max_length - 1).log_()


@torch.no_grad()
def orthogonal_(weight: Tensor, hidden_size: int) -> Tensor:
    """Fill each block of `hidden_size` rows with its own orthogonal matrix, in place.

    Args:
        weight: `(gates * hidden_size, features)`; if a block is not square, its rows or columns are orthonormal.
        hidden_size: number of rows in the block of one gate.
    """
    if not weight.is_meta:
        for block in weight.split(hidden_size):
            # torch has no QR decomposition for dtypes narrower than float32
            wide = torch.empty(block.shape, device=block.device, dtype=torch.promote_types(block.dtype, torch.float32))
            block.copy_(nn.init.orthogonal_(wide))
    return weight
