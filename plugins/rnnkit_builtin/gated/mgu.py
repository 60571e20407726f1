"""The kind `mgu`: a GRU whose two gates are one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Cell, CellState, Kind, Paper, Problem, RecurrentSpec, StackOptions, cell_kind, hookimpl

ZHOU = Paper(
    title="Minimal Gated Unit for Recurrent Neural Networks",
    authors="Guo-Bing Zhou, Jianxin Wu, Chen-Lin Zhang, Zhi-Hua Zhou",
    year=2016,
    link="https://arxiv.org/abs/1603.09420",
)
HECK = Paper(
    title="Simplified Minimal Gated Unit Variations for Recurrent Neural Networks",
    authors="Joel Heck, Fathi M. Salem",
    year=2017,
    link="https://arxiv.org/abs/1701.03452",
)

GATE_NOTE = (
    "The papers call f a forget gate; where it is open, the new values replace the state. `forget_bias=1.0` starts its "
    "bias at -1, so that a higher value keeps more of the state, as in every kind."
)
Variant = Literal["mgu", "mgu1", "mgu2", "mgu3"]


class MGUOptions(StackOptions):
    """Options of the kind `mgu`."""

    variant: Variant = "mgu"
    """Terms of the gate: `"mgu"` reads the input, the state and a bias; `"mgu1"` the state and a bias, `"mgu2"` the
    state alone; in `"mgu3"`, the gate is a learned constant of each feature."""


class MGUCell(Cell):
    """One step of a minimal gated unit; its state is `CellState(h)`.

    It is not a `GatedCell`, which has rows for each gate in every parameter: the variants leave out terms of the gate.

    Attributes:
        weight_if: `(hidden_size, input_size)`, of the gate f; None in all variants but `"mgu"`.
        weight_hf: `(hidden_size, hidden_size)`, of f; None in `"mgu3"`.
        bias_f: `(hidden_size,)`, of f; None in `"mgu2"` or without biases.
        weight_in: `(hidden_size, input_size)`, of the new values n.
        weight_hn: `(hidden_size, hidden_size)`, of n.
        bias_n: `(hidden_size,)`, of n; or None.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        variant: Variant = "mgu",
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_if = self.new_parameter(hidden_size, input_size) if variant == "mgu" else None
        self.weight_hf = self.new_parameter(hidden_size, hidden_size) if variant != "mgu3" else None
        self.bias_f = self.new_parameter(hidden_size) if bias and variant != "mgu2" else None
        self.weight_in = self.new_parameter(hidden_size, input_size)
        self.weight_hn = self.new_parameter(hidden_size, hidden_size)
        self.bias_n = self.new_parameter(hidden_size) if bias else None

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x_n = F.linear(x, self.weight_in, self.bias_n)
        if self.weight_if is not None:
            return F.linear(x, self.weight_if, self.bias_f), x_n
        bias = x_n.new_zeros(self.hidden_size) if self.bias_f is None else self.bias_f
        return bias.expand_as(x_n), x_n

    def step(self, projected_t: tuple[Tensor, Tensor], state: CellState) -> tuple[Tensor, CellState]:
        f, x_n = projected_t
        if self.weight_hf is not None:
            f = torch.addmm(f, state.h, self.weight_hf.t())
        f = torch.sigmoid(f)
        n = torch.tanh(torch.addmm(x_n, f * state.h, self.weight_hn.t()))
        h = torch.lerp(state.h, n, f)
        return h, CellState(h)

    def set_forget_bias(self, value: float) -> None:
        """Set the bias of the gate, which replaces the state where it is open, to the negative value."""
        if self.bias_f is not None:
            self.bias_f.fill_(-value)

    def set_chrono_bias(self, value: Tensor) -> None:
        if self.bias_f is not None:
            self.bias_f.copy_(-value)

    def symbols(self) -> dict[str, Any]:
        left_out = torch.zeros_like(self.weight_in), torch.zeros_like(self.weight_hn)
        return {
            "W_{if}": left_out[0] if self.weight_if is None else self.weight_if,
            "W_{hf}": left_out[1] if self.weight_hf is None else self.weight_hf,
            "b_f": 0 if self.bias_f is None else self.bias_f,
            "W_{in}": self.weight_in,
            "W_{hn}": self.weight_hn,
            "b_n": 0 if self.bias_n is None else self.bias_n,
        }


def check(spec: RecurrentSpec[MGUOptions]) -> Iterator[Problem]:
    if spec.options.variant == "mgu2" and spec.options.forget_bias is not None:
        yield Problem("options.forget_bias", 'The gate of variant="mgu2" has no bias: leave forget_bias at None')
    if spec.options.variant == "mgu3" and not spec.bias:
        yield Problem("bias", 'The gate of variant="mgu3" is a function of its bias alone: set bias=True')


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            MGUCell,
            name="mgu",
            summary="A GRU with a single gate, which selects both what to read of the state and what to replace.",
            keywords=["minimal gated unit"],
            family="gated",
            equation=r"""
                f_t &= \sigma(W_{if} x_t + W_{hf} h_{t-1} + b_f) \\
                n_t &= \tanh(W_{in} x_t + W_{hn} (f_t \odot h_{t-1}) + b_n) \\
                h_t &= (1 - f_t) \odot h_{t-1} + f_t \odot n_t
            """,
            meanings={
                "f_t": "gate: how much of the old state the new values read, and how much of it they replace",
                "n_t": "new values for the state",
                "W_{if}": 'input weights of the gate; zero in every variant but `"mgu"`',
                "W_{hf}": 'recurrent weights of the gate; zero in `"mgu3"`',
                "b_f": 'bias of the gate; zero in `"mgu2"`',
            },
            papers=[ZHOU, HECK],
            notes=[GATE_NOTE],
            options=MGUOptions,
            check=check,
        )
    )
