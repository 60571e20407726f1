"""The kind `minimalrnn`: a network with one gate, which mixes the state with a code of the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import CellState, GatedCell, Kind, Paper, cell_kind, hookimpl

CHEN = Paper(
    title="MinimalRNN: Toward More Interpretable and Trainable Recurrent Neural Networks",
    authors="Minmin Chen",
    year=2017,
    link="https://arxiv.org/abs/1711.06788",
)


class MinimalRNNCell(GatedCell):
    """One step of a MinimalRNN; its state is `CellState(h)`.

    Attributes:
        weight_in: `(hidden_size, input_size)`, of the code z of the input.
        bias_in: `(hidden_size,)`, of z; or None.
        weight_ih: `(hidden_size, hidden_size)`; the gate u reads z by it.
        weight_hh: `(hidden_size, hidden_size)`.
        bias: `(hidden_size,)`, of u; or None.
    """

    gates = "u"
    forget_gate = "u"
    input_gate = ""

    def __init__(self, input_size: int, hidden_size: int, **kwargs: Any) -> None:
        super().__init__(hidden_size, hidden_size, **kwargs)
        self.input_size = input_size
        self.weight_in = self.new_parameter(hidden_size, input_size)
        self.bias_in = None if self.bias is None else self.new_parameter(hidden_size)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = torch.tanh(F.linear(x, self.weight_in, self.bias_in))
        return super().project(z), z

    def step(self, projected_t: tuple[Tensor, Tensor], state: CellState) -> tuple[Tensor, CellState]:
        projected_z, z = projected_t
        [u] = self.pre_activations(projected_z, state.h)
        h = torch.lerp(z, state.h, torch.sigmoid(u))
        return h, CellState(h)

    def symbols(self) -> dict[str, Any]:
        return {**super().symbols(), "W_{in}": self.weight_in, "b_z": 0 if self.bias_in is None else self.bias_in}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            MinimalRNNCell,
            name="minimalrnn",
            summary="A network with one gate that keeps its state in the space of an encoded input, easy to interpret.",
            family="gated",
            equation=r"""
                z_t &= \tanh(W_{in} x_t + b_z) \\
                u_t &= \sigma(W_{iu} z_t + W_{hu} h_{t-1} + b_u) \\
                h_t &= u_t \odot h_{t-1} + (1 - u_t) \odot z_t
            """,
            meanings={
                "z_t": "code of the input",
                "u_t": "update gate: how much of the old state stays",
            },
            papers=[CHEN],
        )
    )
