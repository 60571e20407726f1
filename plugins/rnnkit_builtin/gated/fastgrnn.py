"""The kind `fastgrnn`: a gated network for microcontrollers, whose gate and new values share their matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnkit import CellState, Kind, cell_kind, hookimpl
from rnnkit_builtin.gated._low_rank import KUSUPATI, LowRankCell, LowRankOptions

START_NOTE = (
    "As in the authors' code, weights start normally distributed with the standard deviation 0.1, biases at 1, "
    r"$\zeta$ at 1 and $\nu$ at -4. The paper's sparse and 8-bit weights are not part of the cell."
)


class FastGRNNCell(LowRankCell):
    r"""One step of a FastGRNN; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`, or `(hidden_size, input_rank)`; of the gate and of the new values.
        weight_ih_right: `(input_rank, input_size)`; None with full rank.
        weight_hh: `(hidden_size, hidden_size)`, or `(hidden_size, recurrent_rank)`.
        weight_hh_right: `(recurrent_rank, hidden_size)`; None with full rank.
        bias: `(2 * hidden_size,)`, the entries of z, then those of the new values n; or None.
        zeta: `(1,)`, $\zeta$.
        nu: `(1,)`, $\nu$.
    """

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True, **kwargs: Any) -> None:
        super().__init__(input_size, hidden_size, **kwargs)
        self.bias = self.new_constant(1.0, 2 * hidden_size) if bias else None
        self.zeta = self.new_constant(1.0)
        self.nu = self.new_constant(-4.0)

    def step(self, projected_t: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        z = n = self.add_recurrence(projected_t, state.h)
        if self.bias is not None:
            b_z, b_n = self.bias.chunk(2)
            z, n = z + b_z, n + b_n
        z = torch.sigmoid(z)
        h = (torch.sigmoid(self.zeta) * (1 - z) + torch.sigmoid(self.nu)) * torch.tanh(n) + z * state.h
        return h, CellState(h)

    def set_forget_bias(self, value: float) -> None:
        if self.bias is not None:
            self.bias.chunk(2)[0].fill_(value)

    def set_chrono_bias(self, value: Tensor) -> None:
        if self.bias is not None:
            self.bias.chunk(2)[0].copy_(value)

    def symbols(self) -> dict[str, Any]:
        b_z, b_n = (0, 0) if self.bias is None else self.bias.chunk(2)
        return {**super().symbols(), "b_z": b_z, "b_n": b_n, r"\zeta": self.zeta, r"\nu": self.nu}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            FastGRNNCell,
            name="fastgrnn",
            summary="A gated network with the matrices of a simple one, for models of a few kilobytes.",
            family="gated",
            equation=r"""
                z_t &= \sigma(W_i x_t + W_h h_{t-1} + b_z) \\
                n_t &= \tanh(W_i x_t + W_h h_{t-1} + b_n) \\
                h_t &= (\sigma(\zeta) (1 - z_t) + \sigma(\nu)) \odot n_t + z_t \odot h_{t-1}
            """,
            meanings={
                "z_t": "gate: how much of the old state stays",
                "n_t": "new values for the state",
                r"\zeta": "trained number: the weight of the new values where the gate is shut",
                r"\nu": "trained number: the weight of the new values everywhere",
            },
            papers=[KUSUPATI],
            notes=[START_NOTE],
            options=LowRankOptions,
        )
    )
