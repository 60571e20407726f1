"""Cells of torchrecurrent as cells of rnnkit."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torchrecurrent
from torch import Tensor

from rnnkit import Cell, CellState

NAMES = sorted(name for name in dir(torchrecurrent) if name.endswith("Cell"))


class TwoPartState(NamedTuple):
    first: Tensor
    second: Tensor


class CellOfTorchrecurrent(Cell):
    """A cell of torchrecurrent, which is not changed: its whole `forward` is the step."""

    def __init__(
        self, name: str, input_size: int = 4, hidden_size: int = 4, *, dtype: torch.dtype = torch.float64
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.inner = getattr(torchrecurrent, name)(input_size, hidden_size).to(dtype)
        bases = " ".join(base.__name__ for base in type(self.inner).__mro__)
        self.separate_output = "Decoupled" in bases
        self.two_parts = "DoubleState" in bases

    def state_shapes(self, batch_size: int) -> Any:
        shape: Any = torch.Size((batch_size, self.hidden_size))
        return TwoPartState(shape, shape) if self.two_parts else CellState(shape)

    def step(self, projected_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        result = self.inner(projected_t, tuple(state) if self.two_parts else state[0])
        output, new = result if self.separate_output else (_flat(result)[0], result)
        return output, type(state)(*_flat(new))


def _flat(nested: Any) -> tuple[Tensor, ...]:
    return tuple(leaf for each in nested for leaf in _flat(each)) if isinstance(nested, tuple) else (nested,)
