"""The kind `lem`: long expressive memory, two coupled equations with learned time scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Cell, Kind, Paper, StackOptions, cell_kind, hookimpl

RUSCH = Paper(
    title="Long Expressive Memory for Sequence Modeling",
    authors="T. Konstantin Rusch, Siddhartha Mishra, N. Benjamin Erichson, Michael W. Mahoney",
    year=2022,
    link="https://arxiv.org/abs/2110.04744",
)

ORDER_NOTE = (
    "h reads z after its update, as in the paper and the authors' code. In torchrecurrent 0.2.5 it reads z before the "
    "update, which is another function."
)
NAMES_NOTE = "The paper calls the hidden state y, and so do its weights: h here is y there."


class LEMState(NamedTuple):
    """The state of one layer of a LEM in one direction."""

    h: Tensor
    """Hidden state, `(batch, hidden_size)`."""
    z: Tensor
    """The other variable of the system, `(batch, hidden_size)`."""


class LEMOptions(StackOptions):
    """Options of the kind `lem`."""

    dt: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The largest step size of both equations, in (0, 1]. The paper tunes it for each task, between 0.0002 and 1."""


class LEMCell(Cell):
    """One step of long expressive memory; its state is `LEMState(h, z)`.

    Attributes:
        weight_ih: `(4 * hidden_size, input_size)`; the rows of the step size of z, of the step size of h, of z and of
            h.
        weight_hh: `(3 * hidden_size, hidden_size)`; the rows of the two step sizes and of z.
        weight_zh: `(hidden_size, hidden_size)`, by which h reads z.
        bias: `(4 * hidden_size,)` in the order of `weight_ih`, or None.
    """

    State = LEMState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dt: float = 1.0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.dt = dt
        self.weight_ih = self.new_parameter(4 * hidden_size, input_size)
        self.weight_hh = self.new_parameter(3 * hidden_size, hidden_size)
        self.weight_zh = self.new_parameter(hidden_size, hidden_size)
        self.bias = self.new_parameter(4 * hidden_size) if bias else None

    def project(self, x: Tensor) -> Any:
        return F.linear(x, self.weight_ih, self.bias).split([3 * self.hidden_size, self.hidden_size], -1)

    def step(self, projected_t: tuple[Tensor, Tensor], state: LEMState) -> tuple[Tensor, LEMState]:
        x_z, x_h = projected_t
        dt_z, dt_h, new_z = (x_z + F.linear(state.h, self.weight_hh)).chunk(3, -1)
        dt_z, dt_h = self.dt * torch.sigmoid(dt_z), self.dt * torch.sigmoid(dt_h)
        z = (1 - dt_z) * state.z + dt_z * torch.tanh(new_z)
        h = (1 - dt_h) * state.h + dt_h * torch.tanh(x_h + F.linear(z, self.weight_zh))
        return h, LEMState(h, z)

    def symbols(self) -> dict[str, Any]:
        i1, i2, iz, ih = self.weight_ih.chunk(4)
        h1, h2, hz = self.weight_hh.chunk(3)
        b1, b2, bz, bh = (0, 0, 0, 0) if self.bias is None else self.bias.chunk(4)
        return {
            r"\Delta t": self.dt,
            "W_{zh}": self.weight_zh,
            "W_{i1}": i1,
            "W_{i2}": i2,
            "W_{iz}": iz,
            "W_{ih}": ih,
            "W_{h1}": h1,
            "W_{h2}": h2,
            "W_{hz}": hz,
            "b_1": b1,
            "b_2": b2,
            "b_z": bz,
            "b_h": bh,
        }


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            LEMCell,
            name="lem",
            summary="Two coupled states with learned time scales, for long sequences with slow and fast parts.",
            keywords=["long expressive memory"],
            family="continuous",
            equation=r"""
                \delta_t &= \Delta t \, \sigma(W_{i1} x_t + W_{h1} h_{t-1} + b_1) \\
                \bar{\delta}_t &= \Delta t \, \sigma(W_{i2} x_t + W_{h2} h_{t-1} + b_2) \\
                z_t &= (1 - \delta_t) \odot z_{t-1} + \delta_t \odot \tanh(W_{iz} x_t + W_{hz} h_{t-1} + b_z) \\
                h_t &= (1 - \bar{\delta}_t) \odot h_{t-1} + \bar{\delta}_t \odot \tanh(W_{ih} x_t + W_{zh} z_t + b_h)
            """,
            meanings={
                r"\Delta t": "the option `dt`, the largest step size",
                r"\delta_t": "step size of z",
                r"\bar{\delta}_t": "step size of h",
            },
            papers=[RUSCH],
            notes=[ORDER_NOTE, NAMES_NOTE],
            options=LEMOptions,
        )
    )
