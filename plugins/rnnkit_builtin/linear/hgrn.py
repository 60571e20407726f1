"""The kind `hgrn`: a gated linear recurrence whose higher layers forget less."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Kind, LinearCell, Paper, cell_kind, hookimpl

QIN = Paper(
    title="Hierarchically Gated Recurrent Neural Network for Sequence Modeling",
    authors="Zhen Qin, Songlin Yang, Yiran Zhong",
    year=2023,
    link="https://arxiv.org/abs/2311.04823",
)

REAL_NOTE = (
    "The state is real, as in flash-linear-attention by one of the authors. In the paper it is complex, and each "
    "feature rotates by an angle."
)
BOUND_NOTE = (
    "The bound gamma of layer k of L, counted from zero, starts at k / L, as in the paper. There a softmax over the "
    "layers keeps the bounds in order while they learn. Here each layer learns its own."
)
EPSILON = 1e-5


def rms_norm(x: Tensor) -> Tensor:
    """Divide x, `(..., features)`, by the root of its mean square."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON)


class HGRNCell(LinearCell):
    """One step of the hierarchically gated recurrent unit; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(3 * hidden_size, input_size)`; the rows of the forget gate f, the candidate n, the output gate g.
        bias: `(3 * hidden_size,)`, or None.
        weight_norm: `(hidden_size,)`; the scale of the normalized state.
        weight_out: `(hidden_size, hidden_size)`; the map to the output.
        bound: `(hidden_size,)`; its sigmoid is gamma, the lower bound of the forget gate. None in the lowest layer,
            where gamma is zero.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        layer: int = 0,
        num_layers: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(3 * hidden_size, input_size)
        self.bias = self.new_parameter(3 * hidden_size) if bias else None
        self.weight_norm = self.new_parameter(hidden_size)
        self.weight_out = self.new_parameter(hidden_size, hidden_size)
        self.bound = self.new_parameter(hidden_size) if layer > 0 else None
        nn.init.ones_(self.weight_norm)
        if self.bound is not None:
            # the logit of layer / num_layers
            nn.init.constant_(self.bound, math.log(layer / (num_layers - layer)))

    def gamma(self) -> Tensor | float:
        """Return the lower bound of the forget gate, `(hidden_size,)`, or zero."""
        return 0.0 if self.bound is None else torch.sigmoid(self.bound)

    def _forget_gate(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Return the forget gate and one minus it, neither of them as a difference of almost equal numbers."""
        kept, replaced = torch.sigmoid(f), torch.sigmoid(-f)
        if self.bound is None:
            return kept, replaced
        width = torch.sigmoid(-self.bound)  # 1 - gamma
        return torch.sigmoid(self.bound) + width * kept, width * replaced

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        f, n, g = F.linear(x, self.weight_ih, self.bias).chunk(3, -1)
        kept, replaced = self._forget_gate(f)
        return kept, replaced * F.silu(n), F.silu(g)

    def read(self, h: Tensor, *inputs: Tensor) -> Tensor:
        return F.linear(rms_norm(h) * self.weight_norm * inputs[0], self.weight_out)

    def set_forget_bias(self, value: float) -> None:
        """Set the bias of f."""
        if self.bias is not None:
            self.bias.chunk(3)[0].fill_(value)

    def set_chrono_bias(self, value: Tensor) -> None:
        if self.bias is not None:
            self.bias.chunk(3)[0].copy_(value)

    def symbols(self) -> dict[str, Any]:
        w_f, w_n, w_g = self.weight_ih.chunk(3)
        b_f, b_n, b_g = (0, 0, 0) if self.bias is None else self.bias.chunk(3)
        weights = {"W_{if}": w_f, "W_{in}": w_n, "W_{ig}": w_g, "b_f": b_f, "b_n": b_n, "b_g": b_g}
        outputs = {"W_o": self.weight_out, "w": self.weight_norm, r"\mathrm{norm}": rms_norm}
        return {**weights, **outputs, r"\gamma": self.gamma()}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            HGRNCell,
            name="hgrn",
            summary="A gated linear recurrence whose forget gates have lower bounds: higher layers remember longer.",
            keywords=["hierarchically gated recurrent network"],
            family="linear",
            equation=r"""
                f_t &= \gamma + (1 - \gamma) \odot \sigma(W_{if} x_t + b_f) \\
                n_t &= \mathrm{silu}(W_{in} x_t + b_n) \\
                g_t &= \mathrm{silu}(W_{ig} x_t + b_g) \\
                h_t &= f_t \odot h_{t-1} + (1 - f_t) \odot n_t \\
                y_t &= W_o (w \odot \mathrm{norm}(h_t) \odot g_t)
            """,
            meanings={
                "f_t": "forget gate: how much of the state stays",
                r"\gamma": "lower bound of the forget gate, which is zero in the lowest layer",
                "n_t": "new values for the state",
                "g_t": "output gate",
                r"\mathrm{norm}": "division by the root of the mean square",
            },
            papers=[QIN],
            notes=[REAL_NOTE, BOUND_NOTE],
        )
    )
