"""The kind `indrnn`: each feature of the state reads itself alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell, CellState, Kind, Paper, StackOptions, cell_kind, hookimpl

LI = Paper(
    title="Independently Recurrent Neural Network (IndRNN): Building A Longer and Deeper RNN",
    authors="Shuai Li, Wanqing Li, Chris Cook, Ce Zhu, Yanbo Gao",
    year=2018,
    link="https://arxiv.org/abs/1803.04831",
)

BOUND_NOTE = (
    "The paper bounds |u| by 2^(1/T) for sequences of T steps; the authors' code for sequential MNIST by 5^(1/T). Set "
    "`max_length` to T, and call `rnnkit.constrain_` after each step of the optimizer, for the bound of the paper."
)
START_NOTE = (
    "The authors' code draws u from [0, 1], or up to the bound, and the input weights from +-0.3 / sqrt(input_size). "
    "torchrecurrent 0.2.5 draws u from a normal distribution and uses tanh, with which u above 1 makes long sequences "
    "explode or saturate."
)


class IndRNNOptions(StackOptions):
    """Options of the kind `indrnn`."""

    nonlinearity: Literal["relu", "tanh"] = "relu"
    """Activation function of the state."""
    max_length: Annotated[int, Field(ge=1)] | None = None
    """Number of steps of the longest sequences, which bounds the recurrent weights by 2^(1 / max_length); None: no
    bound."""


class IndRNNCell(Cell):
    """One step of an IndRNN; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`.
        weight_hh: `(hidden_size,)`, the recurrent weights, uniform in [0, 1] at the start, or up to their bound.
        bias: `(hidden_size,)`, zeros at the start, or None.
        bound: the largest absolute value of `weight_hh`, or None.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: Literal["relu", "tanh"] = "relu",
        max_length: int | None = None,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity
        self.bound = None if max_length is None else 2 ** (1 / max_length)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size)
        self.bias = self.new_parameter(hidden_size) if bias else None
        nn.init.kaiming_uniform_(self.weight_ih, a=8)
        nn.init.uniform_(self.weight_hh, 0, self.bound or 1)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)

    def step(self, projected_t: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        h = self.activation()(projected_t + self.weight_hh * state.h)
        return h, CellState(h)

    def activation(self) -> Callable[[Tensor], Tensor]:
        """Return the activation function."""
        return torch.relu if self.nonlinearity == "relu" else torch.tanh

    def constrain_(self) -> None:
        """Clamp the recurrent weights to their bound."""
        if self.bound is not None:
            self.weight_hh.clamp_(-self.bound, self.bound)

    def symbols(self) -> dict[str, Any]:
        bias = 0 if self.bias is None else self.bias
        return {"W": self.weight_ih, "u": self.weight_hh, "b": bias, r"\phi": self.activation()}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            IndRNNCell,
            name="indrnn",
            summary="A simple RNN whose features read only themselves, for deep stacks and sequences of 1,000 steps.",
            keywords=["independently recurrent neural network"],
            family="simple",
            equation=r"h_t = \phi(W x_t + u \odot h_{t-1} + b)",
            meanings={r"\phi": "ReLU, or tanh with `nonlinearity`", "u": "recurrent weights, one for each feature"},
            papers=[LI],
            notes=[BOUND_NOTE, START_NOTE],
            options=IndRNNOptions,
        )
    )
