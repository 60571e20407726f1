"""The kind `cfc`: a closed form of a liquid time-constant network, for irregular time series."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell, CellState, Kind, Paper, StackOptions, cell_kind, hookimpl

HASANI = Paper(
    title="Closed-form continuous-time neural networks",
    authors="Ramin Hasani, Mathias Lechner, Alexander Amini, Lucas Liebenwein, Aaron Ray, Max Tschaikowski, Gerald "
    "Teschl, Daniela Rus",
    year=2022,
    link="https://arxiv.org/abs/2106.13898",
)

FORM_NOTE = (
    "The paper writes the gate as sigma(-f t). The equation here is that of the authors' package ncps, whose gate is "
    "affine in the time between steps."
)
MODE_NOTE = "The mode `pure`, the wirings and the mixed memory of ncps are not here."


class CfCOptions(StackOptions):
    """Options of the kind `cfc`."""

    backbone_units: Annotated[int, Field(ge=1)] = 128
    """Number of units in each layer of the network that reads the input and the state."""
    backbone_layers: Annotated[int, Field(ge=0, le=16)] = 1
    """Number of layers of that network; 0 for none."""
    mode: Literal["default", "no_gate"] = "default"
    """`"default"` moves from one target to the other with time; `"no_gate"` adds the second to the first."""


class CfCCell(Cell):
    """One step of a closed-form continuous-time network; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(units, input_size)`, where `units` is `backbone_units`, or `4 * hidden_size` without a backbone.
        weight_hh: `(units, hidden_size)`.
        bias: `(units,)`, or None.
        layers: the layers of the backbone after the first, and last the rows of the targets g and k, and of the slope
            a and the offset d of the gate, `(4 * hidden_size, backbone_units)`; empty without a backbone.
    """

    recurrent_dropout_parts: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        backbone_units: int = 128,
        backbone_layers: int = 1,
        mode: Literal["default", "no_gate"] = "default",
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.mode = mode
        sizes = [backbone_units] * backbone_layers + [4 * hidden_size]
        self.weight_ih = self.new_parameter(sizes[0], input_size)
        self.weight_hh = self.new_parameter(sizes[0], hidden_size)
        self.bias = self.new_parameter(sizes[0]) if bias else None
        self.layers = nn.ModuleList(nn.Linear(*pair, bias=bias, device=device, dtype=dtype) for pair in pairwise(sizes))
        self._init_weights()

    def _init_weights(self) -> None:
        """Draw the weights as ncps does, where one matrix reads the input and the state, and another each target."""
        features, outputs = self.input_size + self.hidden_size, self.hidden_size
        first = outputs if not self.layers else len(self.weight_ih)
        _init_linear([self.weight_ih, self.weight_hh], self.bias, features, first)
        layers: list[Any] = list(self.layers)
        for index, layer in enumerate(layers, 1):
            units = layer.in_features
            _init_linear([layer.weight], layer.bias, units, outputs if index == len(layers) else units)

    def project(self, x: Tensor, elapsed: Tensor | float = 1.0) -> Any:
        return F.linear(x, self.weight_ih, self.bias), elapsed

    def step(self, projected_t: tuple[Tensor, Tensor], state: CellState) -> tuple[Tensor, CellState]:
        x, elapsed = projected_t
        g, k, a, d = self._targets(x + F.linear(state.h, self.weight_hh))
        gate = torch.sigmoid(a * elapsed + d)
        first = torch.tanh(g)
        h = (first * (1 - gate) if self.mode == "default" else first) + torch.tanh(k) * gate
        return h, CellState(h)

    def _targets(self, s: Tensor) -> tuple[Tensor, ...]:
        """Return both targets, and the slope and the offset of the gate."""
        for layer in self.layers:
            s = layer(1.7159 * torch.tanh(0.666 * s))
        return s.chunk(4, -1)

    def symbols(self) -> dict[str, Any]:
        return {
            r"\Delta t_t": 1.0,
            r"\kappa": 1.0 if self.mode == "default" else 0.0,
            "W_x": self.weight_ih,
            "W_h": self.weight_hh,
            "b": 0 if self.bias is None else self.bias,
            "G": lambda s: self._targets(s)[0],
            "K": lambda s: self._targets(s)[1],
            "A": lambda s: self._targets(s)[2],
            "D": lambda s: self._targets(s)[3],
        }


def _init_linear(weights: list[Tensor], bias: Tensor | None, fan_in: int, fan_out: int) -> None:
    """Draw the weights by Glorot and Bengio's rule, and the bias as `torch.nn.Linear` does."""
    for weight in weights:
        bound = (6 / (fan_in + fan_out)) ** 0.5
        nn.init.uniform_(weight, -bound, bound)
    if bias is not None:
        nn.init.uniform_(bias, -(fan_in**-0.5), fan_in**-0.5)


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            CfCCell,
            name="cfc",
            summary="A state that moves from one target to another with the time between steps, for irregular series.",
            keywords=["closed-form continuous-time network", "liquid neural network", "irregular time series"],
            family="continuous",
            equation=r"""
                s_t &= W_x x_t + W_h h_{t-1} + b \\
                g_t &= \tanh(G(s_t)) \\
                k_t &= \tanh(K(s_t)) \\
                \tau_t &= \sigma(\Delta t_t A(s_t) + D(s_t)) \\
                h_t &= (1 - \kappa \tau_t) \odot g_t + \tau_t \odot k_t
            """,
            meanings={
                "s_t": "what the first layer of the backbone makes of the input and the state",
                "g_t": "target for short times",
                "k_t": "target for long times",
                r"\tau_t": "gate: how far h has moved to the second target",
                r"\Delta t_t": "time since the previous step; 1 without the option `time_feature`",
                r"\kappa": "1, or 0 with `mode='no_gate'`",
                "G": "the other layers of the backbone, with the activation 1.7159 tanh(0.666 s), for g",
                "K": "the same for k",
                "A": "the same for the slope of the gate",
                "D": "the same for the offset of the gate",
            },
            papers=[HASANI],
            notes=[FORM_NOTE, MODE_NOTE],
            options=CfCOptions,
        )
    )
