"""The kind `cfn`: a gated network whose state decays to zero without input, and is never chaotic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import CellState, GatedCell, Kind, Paper, cell_kind, hookimpl

LAURENT = Paper(
    title="A recurrent neural network without chaos",
    authors="Thomas Laurent, James von Brecht",
    year=2017,
    link="https://arxiv.org/abs/1612.06212",
)

START_NOTE = "As in the paper, the biases start at 1 in the forget gate and at -1 in the input gate."


class CFNCell(GatedCell):
    r"""One step of a chaos-free network; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(2 * hidden_size, input_size)`; the rows of $\theta$, then those of $\eta$.
        weight_hh: `(2 * hidden_size, hidden_size)`.
        weight_in: `(hidden_size, input_size)`, of the new values n.
        bias: `(2 * hidden_size,)`, or None.
    """

    gates = (r"\theta", r"\eta")
    forget_gate = r"\theta"
    input_gate = r"\eta"

    def __init__(self, input_size: int, hidden_size: int, **kwargs: Any) -> None:
        super().__init__(input_size, hidden_size, **kwargs)
        self.weight_in = self.new_parameter(hidden_size, input_size)
        if self.bias is not None:
            with torch.no_grad():
                self.bias.fill_(-1.0)
                self.set_forget_bias(1.0)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return super().project(x), torch.tanh(F.linear(x, self.weight_in))

    def step(self, projected_t: tuple[Tensor, Tensor], state: CellState) -> tuple[Tensor, CellState]:
        gates, n = projected_t
        theta, eta = self.pre_activations(gates, state.h)
        h = torch.sigmoid(theta) * torch.tanh(state.h) + torch.sigmoid(eta) * n
        return h, CellState(h)

    def symbols(self) -> dict[str, Any]:
        return {**super().symbols(), "W_{in}": self.weight_in}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            CFNCell,
            name="cfn",
            summary="A gated network with simple dynamics: without input, its state always decays to zero.",
            keywords=["chaos-free network"],
            family="gated",
            equation=r"""
                \theta_t &= \sigma(W_{i\theta} x_t + W_{h\theta} h_{t-1} + b_\theta) \\
                \eta_t &= \sigma(W_{i\eta} x_t + W_{h\eta} h_{t-1} + b_\eta) \\
                h_t &= \theta_t \odot \tanh(h_{t-1}) + \eta_t \odot \tanh(W_{in} x_t)
            """,
            meanings={
                r"\theta_t": "forget gate: how much of the old state stays",
                r"\eta_t": "input gate: how much of the input enters the state",
            },
            papers=[LAURENT],
            notes=[START_NOTE],
        )
    )
