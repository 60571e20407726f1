"""The kind `rhn`: a recurrent network whose transition is several highway layers deep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Cell, CellState, Kind, Paper, StackOptions, cell_kind, hookimpl

ZILLY = Paper(
    title="Recurrent Highway Networks",
    authors="Julian Georg Zilly, Rupesh Kumar Srivastava, Jan Koutník, Jürgen Schmidhuber",
    year=2017,
    link="https://arxiv.org/abs/1607.03474",
)

CARRY_NOTE = "The carry gate is one minus the transform gate, as in all results of the paper."
START_NOTE = (
    "The bias of the transform gates starts at -2, as in the authors' code for words. For characters their code starts "
    "it at -4, as `forget_bias=4.0` does."
)


class RHNOptions(StackOptions):
    """Options of the kind `rhn`."""

    depth: Annotated[int, Field(ge=1, le=1024)] = 3
    """Number of highway layers in each step, L in the equation; up to 10 in the paper, and at most 1024 here."""


class RHNCell(Cell):
    """One step of a recurrent highway network; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(2 * hidden_size, input_size)`; the rows of the new values n, then those of the transform gate.
        weight_hh: `(depth * 2 * hidden_size, hidden_size)`; for each highway layer the rows of n, then of the gate.
        bias: `(depth * 2 * hidden_size,)`, in the same order; or None.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        depth: int = 3,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.depth = depth
        self.weight_ih = self.new_parameter(2 * hidden_size, input_size)
        self.weight_hh = self.new_parameter(depth * 2 * hidden_size, hidden_size)
        self.bias = self.new_parameter(depth * 2 * hidden_size) if bias else None
        with torch.no_grad():
            self.set_forget_bias(2.0)

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self._biases()[0])

    def step(self, projected_t: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        first, *following = self.weight_hh.chunk(self.depth)
        h = _highway(torch.addmm(projected_t, state.h, first.t()), state.h)
        for weight, bias in zip(following, self._biases()[1:], strict=True):
            h = _highway(F.linear(h, weight, bias), h)
        return h, CellState(h)

    def set_forget_bias(self, value: float) -> None:
        """Set the biases of the transform gates, which replace the state where they are open, to the negative value."""
        for bias in self._biases():
            if bias is not None:
                bias.chunk(2)[1].fill_(-value)

    def _biases(self) -> tuple[Tensor | None, ...]:
        """Return the bias of each highway layer."""
        return (None,) * self.depth if self.bias is None else self.bias.chunk(self.depth)


def _highway(pre_activations: Tensor, h: Tensor) -> Tensor:
    n, t = pre_activations.chunk(2, -1)
    return torch.lerp(h, torch.tanh(n), torch.sigmoid(t))


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            RHNCell,
            name="rhn",
            summary="A recurrent network that is several highway layers deep in each step, for language models.",
            keywords=["recurrent highway network"],
            family="gated",
            equation=r"""
                s_t^{(0)} &= h_{t-1} \\
                n_t^{(l)} &= \tanh(\mathbf{1}_{l=1} W_{in} x_t + W_{hn}^{(l)} s_t^{(l-1)} + b_n^{(l)}) \\
                g_t^{(l)} &= \sigma(\mathbf{1}_{l=1} W_{ig} x_t + W_{hg}^{(l)} s_t^{(l-1)} + b_g^{(l)}) \\
                s_t^{(l)} &= g_t^{(l)} \odot n_t^{(l)} + (1 - g_t^{(l)}) \odot s_t^{(l-1)} \\
                h_t &= s_t^{(L)}
            """,
            meanings={
                "s_t^{(0)}": "hidden state before the step",
                "s_t^{(l-1)}": "state inside the step, before highway layer l",
                "s_t^{(L)}": "state inside the step, after the last highway layer",
                r"\mathbf{1}_{l=1}": "1 in the first highway layer, and 0 in the others",
                "W_{in}": "input weights of the new values",
                "W_{ig}": "input weights of the gate",
                "W_{hn}^{(l)}": "recurrent weights of the new values",
                "W_{hg}^{(l)}": "recurrent weights of the gate",
                "b_n^{(l)}": "bias of the new values",
                "b_g^{(l)}": "bias of the gate",
                "g_t^{(l)}": "transform gate of each highway layer: how much of the new values it takes",
                "n_t^{(l)}": "new values of each highway layer",
                "s_t^{(l)}": "state inside the step, after each highway layer l = 1, ..., L; the first reads the input",
            },
            papers=[ZILLY],
            notes=[CARRY_NOTE, START_NOTE],
            options=RHNOptions,
        )
    )
