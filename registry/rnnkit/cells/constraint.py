"""Constraints on parameters, which hold after each step of an optimizer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rnnkit.cells.cell import Cell
from rnnkit.errors import InputError


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

    Raises:
        InputError: a cell bounds a weight that is computed from other parameters, by pruning or a parametrization.
    """
    for name, module in model.named_modules():
        if isinstance(module, Cell) and type(module).constrain_ is not Cell.constrain_:
            _constrain_cell(name, module)


def _constrain_cell(name: str, cell: Cell) -> None:
    with parametrize.cached():  # so that the cell changes the tensors that are compared
        computed = {weight: (tensor, tensor.clone(), _version(tensor)) for weight, tensor in _computed_weights(cell)}
        cell.constrain_()
        for weight, (tensor, before, version) in computed.items():
            if _version(tensor) != version or not torch.equal(tensor, before):
                raise InputError(
                    f"constrain_ cannot bound {'.'.join(filter(None, [name, weight]))}, which is computed from other "
                    "parameters: remove its pruning (torch.nn.utils.prune.remove) or its parametrization "
                    "(torch.nn.utils.parametrize.remove_parametrizations), or do not call constrain_"
                )


def _computed_weights(cell: Cell) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a cell that are neither parameters nor buffers, with their names.

    Pruning replaces a parameter by an attribute, a parametrization by a property: a constraint that writes there has no
    effect.
    """
    for prefix, module in cell.named_modules():
        names = [name for name, value in vars(module).items() if isinstance(value, Tensor)]
        if parametrize.is_parametrized(module):
            names += dict(module.get_submodule("parametrizations").named_children())
        yield from ((".".join(filter(None, [prefix, name])), getattr(module, name)) for name in names)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001  # torch has no public name for it
