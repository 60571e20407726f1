"""The Minimal Gated Unit (arXiv 1603.09420) as a kind of rnnkit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Cell, CellState, Kind, Paper, cell_kind, hookimpl


class MGUCell(Cell):
    """One step of the Minimal Gated Unit; its state is `CellState(h)`.

    Attributes:
        weight_ih: W_if above W_in, `(2 * hidden_size, input_size)`.
        weight_hf: W_hf, `(hidden_size, hidden_size)`.
        weight_hn: W_hn, `(hidden_size, hidden_size)`.
        bias: b_f above b_n, `(2 * hidden_size,)`; None: there are none.
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
        self.weight_ih = self.new_parameter(2 * hidden_size, input_size)
        self.weight_hf = self.new_parameter(hidden_size, hidden_size)
        self.weight_hn = self.new_parameter(hidden_size, hidden_size)
        self.bias = self.new_parameter(2 * hidden_size) if bias else None

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        return F.linear(x, self.weight_ih, self.bias).chunk(2, dim=-1)

    def step(self, projected_t: tuple[Tensor, Tensor], state: CellState) -> tuple[Tensor, CellState]:
        x_f, x_n = projected_t
        f_t = torch.sigmoid(torch.addmm(x_f, state.h, self.weight_hf.t()))
        n_t = torch.tanh(torch.addmm(x_n, f_t * state.h, self.weight_hn.t()))
        h_t = torch.lerp(state.h, n_t, f_t)  # (1 - f_t) * h + f_t * n_t
        return h_t, CellState(h_t)

    def symbols(self) -> dict[str, Any]:
        w_if, w_in = self.weight_ih.chunk(2)
        b_f, b_n = (0, 0) if self.bias is None else self.bias.chunk(2)
        of_x = {"W_{if}": w_if, "W_{in}": w_in, "b_f": b_f, "b_n": b_n}
        return {**of_x, "W_{hf}": self.weight_hf, "W_{hn}": self.weight_hn}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            MGUCell,
            name="mgu",
            summary="One gate decides both what to forget and what to take in, with two thirds of a GRU's weights.",
            equation=r"""
                f_t &= \sigma(W_{if} x_t + b_f + W_{hf} h_{t-1}) \\
                n_t &= \tanh(W_{in} x_t + b_n + W_{hn} (f_t \odot h_{t-1})) \\
                h_t &= (1 - f_t) \odot h_{t-1} + f_t \odot n_t
            """,
            meanings={
                "f_t": "forget gate: how much of the old state the new values read, and how much of it they replace",
                "n_t": "new values for the state",
            },
            family="gated",
            papers=[
                Paper(
                    title="Minimal Gated Unit for Recurrent Neural Networks",
                    authors="Guo-Bing Zhou, Jianxin Wu, Chen-Lin Zhang, Zhi-Hua Zhou",
                    year=2016,
                    link="https://arxiv.org/abs/1603.09420",
                )
            ],
        )
    )
