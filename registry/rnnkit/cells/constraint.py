"""Constraints on parameters, which hold after each step of an optimizer."""

from __future__ import annotations

import torch
from torch import nn

from rnnkit.cells.cell import Cell


@torch.no_grad()
def constrain_(model: nn.Module) -> None:
    """Move the parameters of all cells of a model into the bounds of their papers, in place.

    Call it after each step of the optimizer:

    ```python
    optimizer.step()
    constrain_(model)
    ```

    Cells without bounds stay as they are. Without gradient: the optimizer sees the parameters that it moved.

    Args:
        model: a model of rnnkit, or a module that contains some.
    """
    for module in model.modules():
        if isinstance(module, Cell):
            module.constrain_()
