"""The neuromodulated bistable recurrent cell (arXiv 2006.05252) as a kind of rnnkit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Cell, CellState, Kind, Paper, cell_kind, hookimpl


class NBRCCell(Cell):
    """One step of the neuromodulated bistable recurrent cell; its state is `CellState(h)`.

    Attributes:
        weight_ih: W_ia above W_ic above W_in, `(3 * hidden_size, input_size)`.
        weight_hh: W_ha above W_hc, `(2 * hidden_size, hidden_size)`.
        bias: b_a above b_c above b_n, `(3 * hidden_size,)`; None: there are none.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(3 * hidden_size, input_size)
        self.weight_hh = self.new_parameter(2 * hidden_size, hidden_size)
        self.bias = self.new_parameter(3 * hidden_size) if bias else None

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        return F.linear(x, self.weight_ih, self.bias).chunk(3, dim=-1)

    def step(self, projected_t: tuple[Tensor, Tensor, Tensor], state: CellState) -> tuple[Tensor, CellState]:
        x_a, x_c, x_n = projected_t
        h_a, h_c = F.linear(state.h, self.weight_hh).chunk(2, dim=-1)
        a_t = 1 + torch.tanh(x_a + h_a)
        c_t = torch.sigmoid(x_c + h_c)
        n_t = torch.tanh(x_n + a_t * state.h)
        h_t = torch.lerp(n_t, state.h, c_t)  # c_t * h + (1 - c_t) * n_t
        return h_t, CellState(h_t)

    def symbols(self) -> dict[str, Any]:
        w_ia, w_ic, w_in = self.weight_ih.chunk(3)
        w_ha, w_hc = self.weight_hh.chunk(2)
        b_a, b_c, b_n = (0, 0, 0) if self.bias is None else self.bias.chunk(3)
        of_x = {"W_{ia}": w_ia, "W_{ic}": w_ic, "W_{in}": w_in, "b_a": b_a, "b_c": b_c, "b_n": b_n}
        return {**of_x, "W_{ha}": w_ha, "W_{hc}": w_hc}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            NBRCCell,
            name="nbrc",
            summary="Each unit can become bistable, and then holds one bit for any number of steps.",
            keywords=["neuromodulated bistable recurrent cell"],
            equation=r"""
                a_t &= 1 + \tanh(W_{ia} x_t + b_a + W_{ha} h_{t-1}) \\
                c_t &= \sigma(W_{ic} x_t + b_c + W_{hc} h_{t-1}) \\
                n_t &= \tanh(W_{in} x_t + b_n + a_t \odot h_{t-1}) \\
                h_t &= c_t \odot h_{t-1} + (1 - c_t) \odot n_t
            """,
            meanings={
                "a_t": "feedback of each unit on itself, between 0 and 2: above 1, the unit is bistable",
                "c_t": "update gate: how much of the old state stays",
                "n_t": "new values for the state",
            },
            family="gated",
            papers=[
                Paper(
                    title="A bio-inspired bistable recurrent cell allows for long-lasting memory",
                    authors="Nicolas Vecoven, Damien Ernst, Guillaume Drion",
                    year=2021,
                    link="https://arxiv.org/abs/2006.05252",
                )
            ],
            notes=["The authors' code has biases in the first two lines only."],
        )
    )
