"""The kind `gru_cell`: the gated recurrent unit as a stack of cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnkit import CellState, Kind, cell_kind, hookimpl
from rnnkit_builtin._equations import CHO, GRU_MEANINGS, GRU_NOTES, GRU_STEP
from rnnkit_builtin._torch_cell import TorchCell, unroll, unroll_layers


class GRUCell(TorchCell):
    """One step of a GRU, with the parameters of `torch.nn.GRUCell`; its state is `CellState(h)`.

    The notes of the kind say where it differs from the paper.

    With `layer_norm` (Ba et al., arXiv 1607.06450, the GRU of the supplement), LN(W_i x_t) and LN(W_h h_{t-1}) replace
    the four products. The products of r and z are normalized together, those of n separately.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        layer_norm: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, gates=[2, 1], bias=bias, layer_norm=layer_norm, device=device, dtype=dtype
        )

    def project(self, x: Tensor) -> Any:
        return super().project(x).split([2 * self.hidden_size, self.hidden_size], -1)

    def kernel(self) -> str | None:
        return "gru" if self.norm_ih is None else None

    def step(self, projected_t: tuple[Tensor, Tensor], state: CellState) -> tuple[Tensor, CellState]:
        x_rz, x_n = projected_t
        h_rz, h_n = self._project_state(state.h).split([2 * self.hidden_size, self.hidden_size], -1)
        r, z = torch.sigmoid(x_rz + h_rz).chunk(2, -1)
        n = torch.tanh(x_n + r * h_n)
        h = (1 - z) * n + z * state.h
        return h, CellState(h)

    def symbols(self) -> dict[str, Any]:
        return self._symbols("rzn")

    unroll = unroll
    unroll_layers = staticmethod(unroll_layers)


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            GRUCell,
            name="gru_cell",
            summary="Gated recurrent unit as a stack of cells, with every option that stacks of cells have.",
            keywords=["gated recurrent unit"],
            equation=GRU_STEP,
            meanings=GRU_MEANINGS,
            family="gated",
            papers=[CHO],
            notes=GRU_NOTES,
        )
    )
