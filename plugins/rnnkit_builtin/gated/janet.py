"""The kind `janet`: an LSTM that has only its forget gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnkit import CellState, GatedCell, Kind, Paper, StackOptions, cell_kind, hookimpl

VAN_DER_WESTHUIZEN = Paper(
    title="The Unreasonable Effectiveness of the Forget Gate",
    authors="Jos van der Westhuizen, Joan Lasenby",
    year=2018,
    link="https://arxiv.org/abs/1804.04849",
)

BETA_NOTE = r"$\beta$ is a constant, as in the paper. Some implementations train it."
START_NOTE = (
    "As in the authors' code, the bias of the forget gate starts at 1 and that of the new values at 0. For its results "
    "the paper draws the first by the chrono initialization, which asks for the length of the dependencies."
)


class JANETOptions(StackOptions):
    """Options of the kind `janet`."""

    beta: float = 1.0
    """Subtracted from the forget gate's pre-activation for the weight of the new values: above 0, the sum of both
    weights exceeds 1, and the cell accumulates."""


class JANETCell(GatedCell):
    """One step of the JANET; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(2 * hidden_size, input_size)`; the rows of f, then those of the new values n.
        weight_hh: `(2 * hidden_size, hidden_size)`.
        bias: `(2 * hidden_size,)`, or None.
    """

    gates = "fn"
    forget_gate = "f"
    input_gate = ""

    def __init__(self, input_size: int, hidden_size: int, *, beta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(input_size, hidden_size, **kwargs)
        self.beta = beta
        if self.bias is not None:
            with torch.no_grad():
                self.bias.zero_()
                self.set_forget_bias(1.0)

    def step(self, projected_t: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        f, n = self.pre_activations(projected_t, state.h)
        h = torch.sigmoid(f) * state.h + torch.sigmoid(self.beta - f) * torch.tanh(n)
        return h, CellState(h)

    def symbols(self) -> dict[str, Any]:
        return {**super().symbols(), r"\beta": self.beta}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            JANETCell,
            name="janet",
            summary="An LSTM with a forget gate alone, half as many parameters, and longer memory.",
            keywords=["just another network"],
            family="gated",
            equation=r"""
                s_t &= W_{if} x_t + W_{hf} h_{t-1} + b_f \\
                n_t &= \tanh(W_{in} x_t + W_{hn} h_{t-1} + b_n) \\
                h_t &= \sigma(s_t) \odot h_{t-1} + (1 - \sigma(s_t - \beta)) \odot n_t
            """,
            meanings={
                "s_t": "forget gate before its activation: how much of the old state stays",
                "n_t": "new values for the state",
                r"\beta": "constant that `beta` sets",
            },
            papers=[VAN_DER_WESTHUIZEN],
            notes=[BETA_NOTE, START_NOTE],
            options=JANETOptions,
        )
    )
