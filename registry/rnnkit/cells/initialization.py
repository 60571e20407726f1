"""Weight initialization that torch does not have."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
