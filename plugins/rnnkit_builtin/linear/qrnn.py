"""The kind `qrnn`: gates from a convolution over time, and a linear recurrence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from rnnkit import CausalConv, ConvolvedLinearCell, Kind, Paper, StackOptions, cell_kind, hookimpl

BRADBURY = Paper(
    title="Quasi-Recurrent Neural Networks",
    authors="James Bradbury, Stephen Merity, Caiming Xiong, Richard Socher",
    year=2016,
    link="https://arxiv.org/abs/1611.01576",
)

NAMES_NOTE = "The paper calls the state c and the output h. Here they are h and y. This is its fo-pooling."
GATE_NOTE = "In the authors' code, f is one minus the paper's f: it multiplies the new values, not the state."


class QRNNOptions(StackOptions):
    """Options of the kind `qrnn`."""

    window: Annotated[int, Field(ge=2)] = 2
    """Number of inputs that the gates of a step read."""


class QRNNCell(ConvolvedLinearCell):
    """One step of the quasi-recurrent neural network; its state is `ConvolvedState(h, tail)`.

    Attributes:
        convolution: its weight is `(3 * hidden_size, input_size, window)`, its bias `(3 * hidden_size,)` or None; the
            rows of z, then those of f and o.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        window: int = 2,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.convolution = CausalConv(input_size, 3 * hidden_size, window, bias=bias, device=device, dtype=dtype)

    def coefficients(self, x: Tensor) -> tuple[Tensor, ...]:
        z, f, o = x.chunk(3, -1)
        return torch.sigmoid(f), torch.sigmoid(-f) * torch.tanh(z), torch.sigmoid(o)

    def read(self, h: Tensor, *inputs: Tensor) -> Tensor:
        return inputs[0] * h

    def set_forget_bias(self, value: float) -> None:
        """Set the bias of f."""
        if self.convolution.bias is not None:
            self.convolution.bias.chunk(3)[1].fill_(value)

    def set_chrono_bias(self, value: Tensor) -> None:
        if self.convolution.bias is not None:
            self.convolution.bias.chunk(3)[1].copy_(value)

    def symbols(self) -> dict[str, Any]:
        def convolve(x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
            return self.convolution.step(x.squeeze(-1), tail)

        gates = {
            f"\\mathrm{{conv}}_{gate}": lambda x, tail, index=index: convolve(x, tail)[0].chunk(3, -1)[index]
            for index, gate in enumerate("zfo")
        }
        return {**gates, r"\mathrm{push}": lambda x, tail: convolve(x, tail)[1]}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            QRNNCell,
            name="qrnn",
            summary="Gates from a convolution of the last inputs, so that it runs in parallel over time.",
            keywords=["quasi-recurrent neural network"],
            family="linear",
            equation=r"""
                z_t &= \tanh(\mathrm{conv}_z(x_t, \mathrm{tail}_{t-1})) \\
                f_t &= \sigma(\mathrm{conv}_f(x_t, \mathrm{tail}_{t-1})) \\
                o_t &= \sigma(\mathrm{conv}_o(x_t, \mathrm{tail}_{t-1})) \\
                h_t &= f_t \odot h_{t-1} + (1 - f_t) \odot z_t \\
                y_t &= o_t \odot h_t \\
                \mathrm{tail}_t &= \mathrm{push}(x_t, \mathrm{tail}_{t-1})
            """,
            meanings={
                r"\mathrm{conv}_f": "as conv_z, for the forget gate",
                r"\mathrm{conv}_o": "as conv_z, for the output gate",
                "z_t": "new values for the state",
                "f_t": "forget gate: how much of the state stays",
                "o_t": "output gate",
                r"\mathrm{tail}_t": "the last inputs, of which there are `window` - 1",
                r"\mathrm{conv}_z": "a matrix for each of the last `window` inputs, and a bias",
                r"\mathrm{push}": "the last inputs without the oldest, and x",
            },
            papers=[BRADBURY],
            notes=[NAMES_NOTE, GATE_NOTE],
            options=QRNNOptions,
        )
    )
