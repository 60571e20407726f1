"""The kind `antisymmetric`: a differential equation that neither forgets nor explodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell, CellState, Kind, Paper, StackOptions, cell_kind, hookimpl

CHANG = Paper(
    title="AntisymmetricRNN: A Dynamical System View on Recurrent Neural Networks",
    authors="Bo Chang, Minmin Chen, Eldad Haber, Ed H. Chi",
    year=2019,
    link="https://arxiv.org/abs/1902.09689",
)

START_NOTE = (
    "W starts with the standard deviation 1 / sqrt(hidden_size), and the gate open, at a bias of 1. torchrecurrent "
    "0.2.5 starts W with the standard deviation 1 and has epsilon = 1 and gamma = 0, with which the state grows."
)
TRIANGLE_NOTE = (
    "The paper notes that a strictly upper triangular W suffices, with half of the parameters; here all entries are "
    "trained."
)


class AntisymmetricOptions(StackOptions):
    """Options of the kind `antisymmetric`."""

    epsilon: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Step size; smaller for longer sequences, such as 0.01 for 1,000 steps."""
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Diffusion, which makes up for the error of the step size: without it the state can grow."""
    gated: bool = False
    """Whether a gate multiplies each step, as in the second model of the paper."""


class AntisymmetricCell(Cell):
    """One step of the AntisymmetricRNN; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`; with `gated`, `(2 * hidden_size, input_size)`, whose last rows are those
            of the gate. Normally distributed at the start, with the variance 1 / input_size.
        weight_hh: `(hidden_size, hidden_size)`; normally distributed at the start, with the variance 1 / hidden_size.
        bias: `(hidden_size,)`, zeros at the start; with `gated`, `(2 * hidden_size,)`, where that of the gate starts at
            1; or None.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        epsilon: float = 0.1,
        gamma: float = 0.01,
        gated: bool = False,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.epsilon = epsilon
        self.gamma = gamma
        self.gated = gated
        rows = hidden_size * (1 + gated)
        self.weight_ih = self.new_parameter(rows, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)
        self.bias = self.new_parameter(rows) if bias else None
        nn.init.normal_(self.weight_ih, std=input_size**-0.5)
        nn.init.normal_(self.weight_hh, std=hidden_size**-0.5)
        if self.bias is not None:
            with torch.no_grad():
                self.bias[:hidden_size] = 0
                self.bias[hidden_size:] = 1

    def prepare(self) -> Tensor:
        return self.weight_hh - self.weight_hh.T

    def project(self, x: Tensor) -> Any:
        return F.linear(x, self.weight_ih, self.bias).split(self.hidden_size, -1)

    def step(self, projected_t: tuple[tuple[Tensor, ...], Tensor], state: CellState) -> tuple[Tensor, CellState]:
        (x, *x_z), weight = projected_t
        a = F.linear(state.h, weight) - self.gamma * state.h
        change = self.epsilon * torch.tanh(a + x)
        h = state.h + (torch.sigmoid(a + x_z[0]) * change if self.gated else change)
        return h, CellState(h)

    def symbols(self) -> dict[str, Any]:
        v_h, v_z = self.weight_ih.chunk(2) if self.gated else (self.weight_ih, torch.zeros_like(self.weight_ih))
        b_h, b_z = (0, 0) if self.bias is None else self.bias.chunk(2) if self.gated else (self.bias, 0)
        return {
            r"\epsilon": self.epsilon,
            r"\gamma": self.gamma,
            r"\phi": torch.sigmoid if self.gated else torch.ones_like,
            "W": self.weight_hh,
            "I": torch.eye(self.hidden_size).to(self.weight_hh),
            "V_h": v_h,
            "V_z": v_z,
            "b_h": b_h,
            "b_z": b_z,
        }


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            AntisymmetricCell,
            name="antisymmetric",
            summary="A differential equation with an antisymmetric matrix, by which a state lasts without gates.",
            family="continuous",
            equation=r"""
                a_t &= (W - W^\top - \gamma I) h_{t-1} \\
                z_t &= \phi(a_t + V_z x_t + b_z) \\
                h_t &= h_{t-1} + \epsilon z_t \odot \tanh(a_t + V_h x_t + b_h)
            """,
            meanings={
                "a_t": "product with the antisymmetric matrix, less the diffusion",
                "V_z": "input weights of the gate; zero without the option `gated`",
                "b_z": "bias of the gate; zero without the option `gated`",
                "z_t": "gate; 1 without the option `gated`",
                r"\phi": "the sigmoid with `gated=True`, else the constant 1",
                r"\epsilon": "the option `epsilon`, the step size",
                r"\gamma": "the option `gamma`, the diffusion",
                "I": "identity matrix",
            },
            papers=[CHANG],
            notes=[START_NOTE, TRIANGLE_NOTE],
            options=AntisymmetricOptions,
        )
    )
