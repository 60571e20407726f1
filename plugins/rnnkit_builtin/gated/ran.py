"""The kind `ran`: an LSTM whose cell state is a weighted sum of linear maps of the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import GatedCell, Kind, Paper, StackOptions, cell_kind, hookimpl

LEE = Paper(
    title="Recurrent Additive Networks",
    authors="Kenton Lee, Omer Levy, Luke Zettlemoyer",
    year=2017,
    link="https://arxiv.org/abs/1705.07393",
)


class RANOptions(StackOptions):
    """Options of the kind `ran`."""

    nonlinearity: Literal["tanh", "identity"] = "tanh"
    """Activation of the output, phi in the equation."""


class RANState(NamedTuple):
    """The state of one layer in one direction."""

    h: Tensor
    """Hidden state, `(batch, hidden_size)`."""
    c: Tensor
    """Cell state, `(batch, hidden_size)`."""


class RANCell(GatedCell):
    """One step of a recurrent additive network; its state is `RANState(h, c)`.

    Attributes:
        weight_ih: `(2 * hidden_size, input_size)`; the rows of i, then those of f.
        weight_hh: `(2 * hidden_size, hidden_size)`.
        weight_in: `(hidden_size, input_size)`, of the new values n.
        bias: `(2 * hidden_size,)`, or None.
    """

    State = RANState
    recurrent_dropout_parts: ClassVar[tuple[str, ...]] = ("h",)
    gates = "if"
    forget_gate = "f"
    input_gate = "i"

    def __init__(
        self, input_size: int, hidden_size: int, *, nonlinearity: Literal["tanh", "identity"] = "tanh", **kwargs: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **kwargs)
        self.nonlinearity = nonlinearity
        self.weight_in = self.new_parameter(hidden_size, input_size)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return super().project(x), F.linear(x, self.weight_in)

    def step(self, projected_t: tuple[Tensor, Tensor], state: RANState) -> tuple[Tensor, RANState]:
        gates, n = projected_t
        i, f = self.pre_activations(gates, state.h)
        c = torch.sigmoid(i) * n + torch.sigmoid(f) * state.c
        h = self._phi(c)
        return h, RANState(h, c)

    def symbols(self) -> dict[str, Any]:
        return {**super().symbols(), "W_{in}": self.weight_in, r"\phi": self._phi}

    @property
    def _phi(self) -> Callable[[Tensor], Tensor]:
        return torch.tanh if self.nonlinearity == "tanh" else torch.clone


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            RANCell,
            name="ran",
            summary="An LSTM without nonlinearity in its memory, which is a weighted sum of the inputs.",
            keywords=["recurrent additive network"],
            family="gated",
            equation=r"""
                n_t &= W_{in} x_t \\
                i_t &= \sigma(W_{ii} x_t + W_{hi} h_{t-1} + b_i) \\
                f_t &= \sigma(W_{if} x_t + W_{hf} h_{t-1} + b_f) \\
                c_t &= i_t \odot n_t + f_t \odot c_{t-1} \\
                h_t &= \phi(c_t)
            """,
            meanings={
                "n_t": "new values for the cell state, linear in the input",
                "i_t": "input gate: how much of the new values enters the cell state",
                "f_t": "forget gate: how much of the cell state stays",
                r"\phi": "function of each feature that `nonlinearity` names",
            },
            papers=[LEE],
            options=RANOptions,
        )
    )
