"""The kind `mogrifier_lstm`: an LSTM whose input and state gate each other before it reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import GatedCell, Kind, Paper, StackOptions, cell_kind, hookimpl

MELIS = Paper(
    title="Mogrifier LSTM",
    authors="Gábor Melis, Tomáš Kočiský, Phil Blunsom",
    year=2020,
    link="https://arxiv.org/abs/1909.01792",
)

BIAS_NOTE = (
    "The rounds have no biases, as in the paper. The authors' code adds some, and limits the input gate to one minus "
    "the forget gate. Some implementations use one pair of matrices for all rounds."
)
MOST_ROUNDS = 6


class MogrifierLSTMOptions(StackOptions):
    """Options of the kind `mogrifier_lstm`."""

    rounds: Annotated[int, Field(ge=0, le=MOST_ROUNDS)] = 5
    """Number of times that the input and the state gate each other in turn; 0 is an LSTM."""
    rank: Annotated[int, Field(ge=1)] | None = None
    """Rank of the matrices of the rounds, each the product of two smaller ones; None: matrices of full rank."""


class MogrifierLSTMState(NamedTuple):
    """The state of one layer in one direction."""

    h: Tensor
    """Hidden state, `(batch, hidden_size)`."""
    c: Tensor
    """Cell state, `(batch, hidden_size)`."""


class MogrifierLSTMCell(GatedCell):
    """One step of a Mogrifier LSTM; its state is `MogrifierLSTMState(h, c)`.

    Nothing depends on the input alone, so that all products are computed at each step.

    Attributes:
        weight_ih: `(4 * hidden_size, input_size)`; the rows of i, f, g, o.
        weight_hh: `(4 * hidden_size, hidden_size)`.
        bias: `(4 * hidden_size,)`, or None.
        weight_hx: for each round `(input_size, hidden_size)` and `(hidden_size, input_size)` in turn, or the left
            factors `(input_size, rank)` and `(hidden_size, rank)`.
        weight_hx_right: the right factors, `(rank, hidden_size)` and `(rank, input_size)` in turn; none without `rank`.
    """

    State = MogrifierLSTMState
    recurrent_dropout_parts: ClassVar[tuple[str, ...]] = ("h",)
    gates = "ifgo"
    forget_gate = "f"
    input_gate = "i"

    def __init__(
        self, input_size: int, hidden_size: int, *, rounds: int = 5, rank: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **kwargs)
        shapes = [(input_size, hidden_size), (hidden_size, input_size)] * MOST_ROUNDS
        self.weight_hx = nn.ParameterList(self.new_parameter(out, rank or size) for out, size in shapes[:rounds])
        right = shapes[:rounds] if rank else []
        self.weight_hx_right = nn.ParameterList(self.new_parameter(rank or 0, size) for _, size in right)

    def project(self, x: Tensor) -> Tensor:
        return x

    def step(self, projected_t: Tensor, state: MogrifierLSTMState) -> tuple[Tensor, MogrifierLSTMState]:
        i, f, g, o = self.pre_activations(*self._mogrify(projected_t, state.h))
        c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, MogrifierLSTMState(h, c)

    def _mogrify(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the projected input and the hidden state after all rounds."""
        for index, weight in enumerate(self.weight_hx):
            source = x if index % 2 else h
            source = F.linear(source, self.weight_hx_right[index]) if self.weight_hx_right else source
            gate = 2 * torch.sigmoid(F.linear(source, weight))
            x, h = (x, gate * h) if index % 2 else (gate * x, h)
        return super().project(x), h

    def symbols(self) -> dict[str, Any]:
        matrices = list(self.weight_hx)
        if self.weight_hx_right:
            matrices = [left @ right for left, right in zip(matrices, self.weight_hx_right, strict=True)]
        # a matrix of zeros gates with 2 sigma(0) = 1
        shapes = [(self.input_size, self.hidden_size), (self.hidden_size, self.input_size)] * MOST_ROUNDS
        matrices += [self.weight_ih.new_zeros(shape) for shape in shapes[len(matrices) : MOST_ROUNDS]]
        return {**super().symbols(), **dict(zip(_ROUNDS, matrices, strict=True))}


_ROUNDS = ["Q_1", "R_2", "Q_3", "R_4", "Q_5", "R_6"]


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            MogrifierLSTMCell,
            name="mogrifier_lstm",
            summary="An LSTM whose input and state gate each other first, for language models.",
            family="gated",
            equation=r"""
                x_t^{(1)} &= 2 \sigma(Q_1 h_{t-1}) \odot x_t \\
                h_t^{(2)} &= 2 \sigma(R_2 x_t^{(1)}) \odot h_{t-1} \\
                x_t^{(3)} &= 2 \sigma(Q_3 h_t^{(2)}) \odot x_t^{(1)} \\
                h_t^{(4)} &= 2 \sigma(R_4 x_t^{(3)}) \odot h_t^{(2)} \\
                x_t^{(5)} &= 2 \sigma(Q_5 h_t^{(4)}) \odot x_t^{(3)} \\
                h_t^{(6)} &= 2 \sigma(R_6 x_t^{(5)}) \odot h_t^{(4)} \\
                i_t &= \sigma(W_{ii} x_t^{(5)} + W_{hi} h_t^{(6)} + b_i) \\
                f_t &= \sigma(W_{if} x_t^{(5)} + W_{hf} h_t^{(6)} + b_f) \\
                g_t &= \tanh(W_{ig} x_t^{(5)} + W_{hg} h_t^{(6)} + b_g) \\
                o_t &= \sigma(W_{io} x_t^{(5)} + W_{ho} h_t^{(6)} + b_o) \\
                c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
                h_t &= o_t \odot \tanh(c_t)
            """,
            meanings={
                "x_t^{(1)}": "input after the first round",
                "x_t^{(3)}": "input after the third round",
                "h_t^{(2)}": "hidden state after the second round",
                "h_t^{(4)}": "hidden state after the fourth round",
                "R_2": "matrix of round 2",
                "Q_3": "matrix of round 3",
                "R_4": "matrix of round 4",
                "Q_5": "matrix of round 5",
                "R_6": "matrix of round 6",
                "Q_1": "matrix of the first round; those after `rounds` are zero, so that they change nothing",
                "x_t^{(5)}": "input after all rounds",
                "h_t^{(6)}": "hidden state after all rounds",
                "i_t": "input gate: how much of the new values enters the cell state",
                "f_t": "forget gate: how much of the cell state stays",
                "g_t": "new values for the cell state",
                "o_t": "output gate: how much of the cell state enters the hidden state",
            },
            papers=[MELIS],
            notes=[BIAS_NOTE],
            options=MogrifierLSTMOptions,
        )
    )
