"""The kind `ugrnn`: a recurrent network with one gate, which keeps the state or replaces it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rnnkit import CellState, GatedCell, Kind, Paper, cell_kind, hookimpl

COLLINS = Paper(
    title="Capacity and Trainability in Recurrent Neural Networks",
    authors="Jasmine Collins, Jascha Sohl-Dickstein, David Sussillo",
    year=2017,
    link="https://arxiv.org/abs/1611.09913",
)

BIAS_NOTE = (
    "The paper adds a constant, which it tunes for each task, to the gate at every step, and TensorFlow 1 adds 1. "
    "`forget_bias=1.0` starts the gate's bias there instead."
)


class UGRNNCell(GatedCell):
    """One step of the Update Gate RNN; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(2 * hidden_size, input_size)`; the rows of the new values c, then those of g.
        weight_hh: `(2 * hidden_size, hidden_size)`.
        bias: `(2 * hidden_size,)`, or None.
    """

    gates = "cg"
    forget_gate = "g"
    input_gate = ""

    def step(self, projected_t: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        c, g = self.pre_activations(projected_t, state.h)
        h = torch.lerp(torch.tanh(c), state.h, torch.sigmoid(g))
        return h, CellState(h)


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            UGRNNCell,
            name="ugrnn",
            summary="A recurrent network with one gate, simpler than a GRU and nearly as easy to train.",
            keywords=["update gate RNN"],
            family="gated",
            equation=r"""
                c_t &= \tanh(W_{ic} x_t + W_{hc} h_{t-1} + b_c) \\
                g_t &= \sigma(W_{ig} x_t + W_{hg} h_{t-1} + b_g) \\
                h_t &= g_t \odot h_{t-1} + (1 - g_t) \odot c_t
            """,
            meanings={"c_t": "new values for the state", "g_t": "update gate: how much of the old state stays"},
            papers=[COLLINS],
            notes=[BIAS_NOTE],
        )
    )
