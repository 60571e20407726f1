"""The kind `fastrnn`: a simple recurrent network with a trained residual connection over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnkit import CellState, Kind, cell_kind, hookimpl
from rnnkit_builtin.gated._low_rank import KUSUPATI, LowRankCell, LowRankOptions

START_NOTE = (
    "As in the authors' code, weights start normally distributed with the standard deviation 0.1, biases at 1, "
    r"$\alpha$ at -3 and $\beta$ at 3, so that 95 % of the state stays at each step."
)


class FastRNNCell(LowRankCell):
    r"""One step of a FastRNN; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`, or `(hidden_size, input_rank)`.
        weight_ih_right: `(input_rank, input_size)`; None with full rank.
        weight_hh: `(hidden_size, hidden_size)`, or `(hidden_size, recurrent_rank)`.
        weight_hh_right: `(recurrent_rank, hidden_size)`; None with full rank.
        bias: `(hidden_size,)`, or None.
        alpha: `(1,)`, $\alpha$.
        beta: `(1,)`, $\beta$.
    """

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True, **kwargs: Any) -> None:
        super().__init__(input_size, hidden_size, **kwargs)
        self.bias = self.new_constant(1.0, hidden_size) if bias else None
        self.alpha = self.new_constant(-3.0)
        self.beta = self.new_constant(3.0)

    def project(self, x: Tensor) -> Tensor:
        projected = super().project(x)
        return projected if self.bias is None else projected + self.bias

    def step(self, projected_t: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        n = torch.tanh(self.add_recurrence(projected_t, state.h))
        h = torch.sigmoid(self.alpha) * n + torch.sigmoid(self.beta) * state.h
        return h, CellState(h)

    def symbols(self) -> dict[str, Any]:
        bias = 0 if self.bias is None else self.bias
        return {**super().symbols(), "b": bias, r"\alpha": self.alpha, r"\beta": self.beta}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            FastRNNCell,
            name="fastrnn",
            summary="A simple recurrent network with a residual connection over time, which two numbers weigh.",
            family="gated",
            equation=r"""
                n_t &= \tanh(W_i x_t + W_h h_{t-1} + b) \\
                h_t &= \sigma(\alpha) n_t + \sigma(\beta) h_{t-1}
            """,
            meanings={
                "n_t": "new values for the state",
                r"\alpha": "trained number: the weight of the new values",
                r"\beta": "trained number: the weight of the old state",
            },
            papers=[KUSUPATI],
            notes=[START_NOTE],
            options=LowRankOptions,
            inapplicable_checks={"loss_decreases": "its state changes by 5 % a step at first, too slowly for the task"},
        )
    )
