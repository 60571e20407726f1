"""The kind `star`: a network with one gate and few parameters, made to be stacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import CellState, GatedCell, Kind, Paper, cell_kind, hookimpl

TURKOGLU = Paper(
    title="Gating Revisited: Deep Multi-layer RNNs That Can Be Trained",
    authors="Mehmet Ozgur Turkoglu, Stefano D'Aronco, Jan Dirk Wegner, Konrad Schindler",
    year=2021,
    link="https://arxiv.org/abs/1911.11033",
)

OFFSET_NOTE = (
    "The authors' code, STAR_Network, departs from the paper: as in `janet`, the weight of the new values is the "
    "sigmoid of 1 plus the pre-activation of k, so that both weights sum to more than 1. Its gate starts as with "
    '`forget_bias="chrono"`.'
)


class STARCell(GatedCell):
    """One step of a STAckable Recurrent cell; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`, of the gate k.
        weight_hh: `(hidden_size, hidden_size)`, of k.
        bias: `(hidden_size,)`, of k; or None.
        weight_in: `(hidden_size, input_size)`, of the new values z.
        bias_in: `(hidden_size,)`, of z; or None.
    """

    gates = "k"
    forget_gate = "-k"
    input_gate = ""

    def __init__(self, input_size: int, hidden_size: int, **kwargs: Any) -> None:
        super().__init__(input_size, hidden_size, **kwargs)
        self.weight_in = self.new_parameter(hidden_size, input_size)
        self.bias_in = None if self.bias is None else self.new_parameter(hidden_size)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return super().project(x), torch.tanh(F.linear(x, self.weight_in, self.bias_in))

    def step(self, projected_t: tuple[Tensor, Tensor], state: CellState) -> tuple[Tensor, CellState]:
        gate, z = projected_t
        [k] = self.pre_activations(gate, state.h)
        h = torch.tanh(torch.lerp(state.h, z, torch.sigmoid(k)))
        return h, CellState(h)

    def symbols(self) -> dict[str, Any]:
        return {**super().symbols(), "W_{iz}": self.weight_in, "b_z": 0 if self.bias_in is None else self.bias_in}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            STARCell,
            name="star",
            summary="A network with one gate and few parameters, for stacks of many layers.",
            keywords=["stackable recurrent cell"],
            family="gated",
            equation=r"""
                z_t &= \tanh(W_{iz} x_t + b_z) \\
                k_t &= \sigma(W_{ik} x_t + W_{hk} h_{t-1} + b_k) \\
                h_t &= \tanh((1 - k_t) \odot h_{t-1} + k_t \odot z_t)
            """,
            meanings={
                "z_t": "new values for the state",
                "k_t": "gate: how much of the new values enters the state",
            },
            papers=[TURKOGLU],
            notes=[OFFSET_NOTE],
        )
    )
