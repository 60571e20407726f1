"""Weight initialization that torch does not have."""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Tensor, nn

from rnnkit._messages import short_repr
from rnnkit.errors import InputError


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
        InputError: the bias is not a tensor of floating-point numbers, or `max_length` is not an integer of at least 3.
    """
    _check_weight("bias", bias)
    _check_integer("max_length", max_length, least=3)
    return bias.uniform_(1, max_length - 1).log_()


@torch.no_grad()
def orthogonal_(weight: Tensor, hidden_size: int) -> Tensor:
    """Fill each block of `hidden_size` rows with its own orthogonal matrix, in place.

    Args:
        weight: `(gates * hidden_size, features)`; if a block is not square, its rows or columns are orthonormal.
        hidden_size: number of rows in the block of one gate.

    Raises:
        InputError: the weight is not a tensor of floating-point numbers, or `hidden_size` is not a positive integer.
    """
    _check_weight("weight", weight)
    _check_integer("hidden_size", hidden_size, least=1)
    if not weight.is_meta:
        for block in weight.split(hidden_size):
            # torch has no QR decomposition for dtypes narrower than float32
            wide = torch.empty(block.shape, device=block.device, dtype=torch.promote_types(block.dtype, torch.float32))
            block.copy_(nn.init.orthogonal_(wide))
    return weight


def _check_weight(name: str, weight: object) -> None:
    if not isinstance(weight, Tensor):
        raise InputError(f"{name} must be a tensor, but is {short_repr(weight)}")
    if not weight.is_floating_point():
        raise InputError(f"{name} must be a tensor of floating-point numbers, but has the dtype {weight.dtype}")


def _check_integer(name: str, value: object, *, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} must be an integer of at least {least}, but is {short_repr(value)}")
