"""The kind `lstm_cell`: long short-term memory as a stack of cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from rnnkit import Kind, cell_kind, hookimpl
from rnnkit_builtin._equations import GERS, HOCHREITER, LSTM_MEANINGS, LSTM_NOTES, LSTM_STEP
from rnnkit_builtin._forget_bias import init_chrono_bias, init_forget_bias
from rnnkit_builtin._torch_cell import TorchCell, unroll, unroll_layers


class LSTMCellState(NamedTuple):
    """The state of one layer of an LSTM in one direction."""

    h: Tensor
    """Hidden state, `(batch, hidden_size)`."""
    c: Tensor
    """Cell state, `(batch, hidden_size)`."""


class LSTMCell(TorchCell):
    """One step of an LSTM, with the parameters of `torch.nn.LSTMCell`; its state is `LSTMCellState(h, c)`.

    The weights hold the gates in the order i, f, g, o, as in torch and Keras; other frameworks use i, g, f, o. The
    cell has no peephole connections: the gates do not read c.

    With `layer_norm` (Ba et al., arXiv 1607.06450), the gates are computed from LN(W_i x_t) + LN(W_h h_{t-1}) plus
    biases, with all four gates normalized together, and h_t = o_t * tanh(LN(c_t)).
    """

    State = LSTMCellState
    recurrent_dropout_parts: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        layer_norm: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, gates=[4], bias=bias, layer_norm=layer_norm, device=device, dtype=dtype
        )
        self.norm_c = nn.LayerNorm(hidden_size, bias=bias, device=device, dtype=dtype) if layer_norm else None

    def kernel(self) -> str | None:
        return "lstm" if self.norm_ih is None else None

    def step(self, projected_t: Tensor, state: LSTMCellState) -> tuple[Tensor, LSTMCellState]:
        i, f, g, o = (projected_t + self._project_state(state.h)).chunk(4, -1)
        c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c if self.norm_c is None else self.norm_c(c))
        return h, LSTMCellState(h, c)

    def symbols(self) -> dict[str, Any]:
        return self._symbols("ifgo")

    unroll = unroll
    unroll_layers = staticmethod(unroll_layers)

    def set_forget_bias(self, value: float) -> None:
        if self.bias_ih is not None and self.bias_hh is not None:
            init_forget_bias(self.bias_ih, self.bias_hh, value)

    def set_chrono_bias(self, value: Tensor) -> None:
        if self.bias_ih is not None and self.bias_hh is not None:
            init_chrono_bias(self.bias_ih, self.bias_hh, value)


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            LSTMCell,
            name="lstm_cell",
            summary="Long short-term memory as a stack of cells, with every option that stacks of cells have.",
            keywords=["long short-term memory"],
            equation=LSTM_STEP,
            meanings=LSTM_MEANINGS,
            family="gated",
            papers=[HOCHREITER, GERS],
            notes=LSTM_NOTES,
        )
    )
