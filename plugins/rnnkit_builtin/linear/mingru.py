"""The kind `mingru`: a GRU whose gate and candidate do not read the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Kind, LinearCell, StackOptions, cell_kind, hookimpl
from rnnkit_builtin.linear._candidate import CANDIDATE_NOTE, FENG, SCAN_NOTE, g


class MinGRUOptions(StackOptions):
    """Options of the kind `mingru`."""

    positive: bool = True
    """Whether the candidate is g(x) > 0, as in the appendix of the paper, instead of x, as in its main part."""


class MinGRUCell(LinearCell):
    """One step of the minGRU; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(2 * hidden_size, input_size)`; the rows of z, then those of the candidate n.
        bias: `(2 * hidden_size,)`, or None.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        positive: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.positive = positive
        self.weight_ih = self.new_parameter(2 * hidden_size, input_size)
        self.bias = self.new_parameter(2 * hidden_size) if bias else None

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, n = F.linear(x, self.weight_ih, self.bias).chunk(2, -1)
        return torch.sigmoid(-z), torch.sigmoid(z) * (g(n) if self.positive else n)

    def set_forget_bias(self, value: float) -> None:
        """Set the bias of 1 - z_t, which is the negated bias of z."""
        if self.bias is not None:
            self.bias.chunk(2)[0].fill_(-value)

    def set_chrono_bias(self, value: Tensor) -> None:
        """Set the bias of 1 - z_t; that of z_t, the input gate, is then the negative."""
        if self.bias is not None:
            self.bias.chunk(2)[0].copy_(-value)

    def symbols(self) -> dict[str, Any]:
        w_z, w_n = self.weight_ih.chunk(2)
        b_z, b_n = (0, 0) if self.bias is None else self.bias.chunk(2)
        return {"W_{iz}": w_z, "W_{in}": w_n, "b_z": b_z, "b_n": b_n, "g": g if self.positive else torch.clone}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            MinGRUCell,
            name="mingru",
            summary="A GRU whose gate reads the input alone, so that it runs in parallel over time.",
            family="linear",
            equation=r"""
                z_t &= \sigma(W_{iz} x_t + b_z) \\
                n_t &= g(W_{in} x_t + b_n) \\
                h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t
            """,
            meanings={
                "z_t": "update gate: how much of the new values enters the state",
                "n_t": "new values for the state",
                "g": "x + 1/2 for x >= 0 and the sigmoid below; the identity with `positive=False`",
            },
            papers=[FENG],
            notes=[CANDIDATE_NOTE, SCAN_NOTE],
            options=MinGRUOptions,
        )
    )
