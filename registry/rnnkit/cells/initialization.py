"""Ways for weights to start that torch does not have."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def orthogonal_(weight: Tensor, hidden_size: int) -> Tensor:
    """Fill each block of `hidden_size` rows with an orthogonal matrix of its own, in place.

    Args:
        weight: `(gates * hidden_size, features)`; where a block is not square, its rows or columns are orthonormal.
        hidden_size: rows of the block of one gate.
    """
    if not weight.is_meta:
        for block in weight.split(hidden_size):
            # in float32 at least: there is no QR decomposition of narrower types
            wide = torch.empty(block.shape, device=block.device, dtype=torch.promote_types(block.dtype, torch.float32))
            block.copy_(nn.init.orthogonal_(wide))
    return weight
