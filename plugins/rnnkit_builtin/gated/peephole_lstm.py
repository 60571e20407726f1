"""The kind `peephole_lstm`: an LSTM whose gates read the cell state as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from rnnkit import GatedCell, Kind, Paper, StackOptions, cell_kind, hookimpl

GERS = Paper(
    title="Learning Precise Timing with LSTM Recurrent Networks",
    authors="Felix A. Gers, Nicol N. Schraudolph, Jürgen Schmidhuber",
    year=2002,
    link="https://doi.org/10.1162/153244303768966139",
    contribution="the peephole connections",
)
GRAVES = Paper(
    title="Generating Sequences With Recurrent Neural Networks",
    authors="Alex Graves",
    year=2013,
    link="https://arxiv.org/abs/1308.0850",
    contribution="the form with one weight for each feature, and gates that read the cell states of one layer",
)
GREFF = Paper(
    title="LSTM: A Search Space Odyssey",
    authors="Klaus Greff, Rupesh K. Srivastava, Jan Koutník, Bas R. Steunebrink, Jürgen Schmidhuber",
    year=2017,
    link="https://arxiv.org/abs/1503.04069",
    contribution="the coupled input and forget gates (CIFG), and the study of both variants",
)

ORDER_NOTE = "The output gate reads the new cell state, and the other gates the old one, as in the papers."


class PeepholeLSTMOptions(StackOptions):
    """Options of the kind `peephole_lstm`."""

    coupled: bool = False
    """Whether the input gate is one minus the forget gate (CIFG), which saves a quarter of the weights."""
    output_activation: bool = True
    """Whether the output is o_t tanh(c_t) instead of o_t c_t."""


class PeepholeLSTMState(NamedTuple):
    """The state of one layer in one direction."""

    h: Tensor
    """Hidden state, `(batch, hidden_size)`."""
    c: Tensor
    """Cell state, `(batch, hidden_size)`."""


class PeepholeLSTMCell(GatedCell):
    """One step of an LSTM with peepholes; its state is `PeepholeLSTMState(h, c)`.

    Attributes:
        weight_ih: `(4 * hidden_size, input_size)`; the rows of i, f, g, o. With `coupled` there are none of i.
        weight_hh: `(4 * hidden_size, hidden_size)`.
        bias: `(4 * hidden_size,)`, or None.
        peepholes: `(3 * hidden_size,)`; the weights of c in i, f, o. With `coupled` there are none of i.
    """

    State = PeepholeLSTMState
    recurrent_dropout_parts: ClassVar[tuple[str, ...]] = ("h",)
    forget_gate = "f"
    input_gate = "i"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        coupled: bool = False,
        output_activation: bool = True,
        **kwargs: Any,
    ) -> None:
        self.gates = "fgo" if coupled else "ifgo"
        super().__init__(input_size, hidden_size, **kwargs)
        self.output_activation = output_activation
        self.peepholes = self.new_parameter((len(self.gates) - 1) * hidden_size)

    def step(self, projected_t: Tensor, state: PeepholeLSTMState) -> tuple[Tensor, PeepholeLSTMState]:
        *i, f, g, o = self.pre_activations(projected_t, state.h)
        *p_i, p_f, p_o = self.peepholes.split(self.hidden_size)
        f = f + p_f * state.c
        i_t = torch.sigmoid(i[0] + p_i[0] * state.c if i else -f)  # 1 - sigmoid(f) without cancellation
        c = torch.sigmoid(f) * state.c + i_t * torch.tanh(g)
        h = torch.sigmoid(o + p_o * c) * (torch.tanh(c) if self.output_activation else c)
        return h, PeepholeLSTMState(h, c)

    def symbols(self) -> dict[str, Any]:
        *p_i, p_f, p_o = self.peepholes.split(self.hidden_size)
        symbols = {**super().symbols(), "p_f": p_f, "p_o": p_o}
        if not p_i:  # i = 1 - f, as the logistic function of the negated sum
            symbols |= {name: -symbols[of_f] for name, of_f in _OF_THE_INPUT_GATE.items()}
        return {**symbols, **dict(zip(["p_i"], p_i, strict=False)), r"\phi": self._phi}

    @property
    def _phi(self) -> Callable[[Tensor], Tensor]:
        return torch.tanh if self.output_activation else torch.clone


_OF_THE_INPUT_GATE = {"W_{ii}": "W_{if}", "W_{hi}": "W_{hf}", "b_i": "b_f", "p_i": "p_f"}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            PeepholeLSTMCell,
            name="peephole_lstm",
            summary="An LSTM whose gates read the cell state too, for precise timing; or CIFG, with one gate less.",
            family="gated",
            equation=r"""
                i_t &= \sigma(W_{ii} x_t + W_{hi} h_{t-1} + p_i \odot c_{t-1} + b_i) \\
                f_t &= \sigma(W_{if} x_t + W_{hf} h_{t-1} + p_f \odot c_{t-1} + b_f) \\
                g_t &= \tanh(W_{ig} x_t + W_{hg} h_{t-1} + b_g) \\
                c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
                o_t &= \sigma(W_{io} x_t + W_{ho} h_{t-1} + p_o \odot c_t + b_o) \\
                h_t &= o_t \odot \phi(c_t)
            """,
            meanings={
                "i_t": "input gate: how much of the new values enters the cell state; 1 - f_t with `coupled=True`",
                "f_t": "forget gate: how much of the cell state stays",
                "g_t": "new values for the cell state",
                "o_t": "output gate: how much of the cell state enters the hidden state",
                r"\phi": "tanh; the identity with `output_activation=False`",
            },
            papers=[GERS, GRAVES, GREFF],
            notes=[ORDER_NOTE],
            options=PeepholeLSTMOptions,
        )
    )
