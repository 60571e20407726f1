"""The kind `minlstm`: an LSTM whose gates do not read the state and sum to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Kind, LinearCell, StackOptions, cell_kind, hookimpl
from rnnkit_builtin.linear._candidate import CANDIDATE_NOTE, FENG, SCAN_NOTE, g

STATE_NOTE = (
    "The parallel form of minGRU-pytorch 0.2.1 applies g to a given initial state once more, which neither the paper "
    "nor its own step does."
)


class MinLSTMOptions(StackOptions):
    """Options of the kind `minlstm`."""

    positive: bool = True
    """Whether the candidate is g(x) > 0, as in the appendix of the paper, instead of x, as in its main part."""


class MinLSTMCell(LinearCell):
    """One step of the minLSTM; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(3 * hidden_size, input_size)`; the rows of f, i and the candidate n.
        bias: `(3 * hidden_size,)`, or None.
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
        self.weight_ih = self.new_parameter(3 * hidden_size, input_size)
        self.bias = self.new_parameter(3 * hidden_size) if bias else None

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        f, i, n = F.linear(x, self.weight_ih, self.bias).chunk(3, -1)
        # f / (f + i) of the sigmoids, without a division that is 0 / 0 where both are zero
        logit = F.softplus(-i) - F.softplus(-f)
        return torch.sigmoid(logit), torch.sigmoid(-logit) * (g(n) if self.positive else n)

    def set_forget_bias(self, value: float) -> None:
        """Set the bias of f to the value, and that of i to its negative: without input, f / (f + i) is its sigmoid.

        The bias of f alone could not let the share of f come near one, since f and i are at most one.
        """
        if self.bias is not None:
            f, i, _ = self.bias.chunk(3)
            f.fill_(value)
            i.fill_(-value)

    def set_chrono_bias(self, value: Tensor) -> None:
        if self.bias is not None:
            f, i, _ = self.bias.chunk(3)
            f.copy_(value)
            i.copy_(-value)

    def symbols(self) -> dict[str, Any]:
        w_f, w_i, w_n = self.weight_ih.chunk(3)
        b_f, b_i, b_n = (0, 0, 0) if self.bias is None else self.bias.chunk(3)
        weights = {"W_{if}": w_f, "W_{ii}": w_i, "W_{in}": w_n, "b_f": b_f, "b_i": b_i, "b_n": b_n}
        return {**weights, "g": g if self.positive else torch.clone}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            MinLSTMCell,
            name="minlstm",
            summary="An LSTM whose gates read the input alone, so that it runs in parallel over time.",
            family="linear",
            equation=r"""
                f_t &= \sigma(W_{if} x_t + b_f) \\
                i_t &= \sigma(W_{ii} x_t + b_i) \\
                n_t &= g(W_{in} x_t + b_n) \\
                h_t &= \frac{f_t}{f_t + i_t} \odot h_{t-1} + \frac{i_t}{f_t + i_t} \odot n_t
            """,
            meanings={
                "f_t": "forget gate: its share of both gates is how much of the state stays",
                "i_t": "input gate: its share of both gates is how much of the new values enters the state",
                "n_t": "new values for the state",
                "g": "x + 1/2 for x >= 0 and the sigmoid below; the identity with `positive=False`",
            },
            papers=[FENG],
            notes=[CANDIDATE_NOTE, SCAN_NOTE, STATE_NOTE],
            options=MinLSTMOptions,
        )
    )
