"""The order of gates in weights and biases, which differs between frameworks."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnkit.errors import InputError


def reorder_gates(weight: Tensor, order: str, new_order: str) -> Tensor:
    """Return a weight or bias with its gates in another order.

    `reorder_gates(weight, "zrn", "rzn")` converts the gates of a GRU from Keras or ONNX to torch's order.

    Args:
        weight: `(gates * hidden_size, ...)`, one block of `hidden_size` rows for each gate.
        order: the gates in `weight`, one letter for each.
        new_order: the same letters in the order of the result.

    Returns:
        A new tensor of the same shape.

    Raises:
        InputError: `new_order` is not a permutation of `order`, a letter occurs twice, or the first size of `weight` is
            not a multiple of the number of gates.
    """
    _check_orders(order, new_order)
    if weight.dim() == 0 or weight.shape[0] % len(order):
        raise InputError(
            f"weight must have the shape ({len(order)} * hidden_size, ...) for the gates {order!r}, but has the shape "
            f"{tuple(weight.shape)}"
        )
    blocks = dict(zip(order, weight.chunk(len(order)), strict=True))
    return torch.cat([blocks[gate] for gate in new_order])


def _check_orders(order: str, new_order: str) -> None:
    if not order or len(set(order)) < len(order) or sorted(order) != sorted(new_order):
        raise InputError(
            f"order and new_order must be the same distinct letters, such as 'zrn' and 'rzn', but are {order!r} and "
            f"{new_order!r}"
        )
