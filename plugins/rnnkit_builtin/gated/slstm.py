"""The kind `slstm`: an LSTM with exponential gates and a normalized memory, from the xLSTM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell, Kind, Paper, Problem, RecurrentSpec, StackOptions, cell_kind, hookimpl, orthogonal_

BECK = Paper(
    title="xLSTM: Extended Long Short-Term Memory",
    authors="Maximilian Beck, Korbinian Pöppel, Markus Spanring, Andreas Auer, Oleksandra Prudnikova, Michael Kopp, "
    "Günter Klambauer, Johannes Brandstetter, Sepp Hochreiter",
    year=2024,
    link="https://arxiv.org/abs/2405.04517",
)

BLOCK_NOTE = "This is the recurrence alone. The paper's block adds a convolution, a group norm and a gated projection."
START_NOTE = (
    "As in the authors' code, recurrent weights and biases start at 0, except the biases of the forget gates, which "
    "fall from 5 to -7 over the features of each head, later in higher layers."
)
FIRST_STEP_NOTE = (
    "Where n = 0, at the first step of a sequence, m is the logarithm of the input gate. In the authors' PyTorch code "
    "it is so only if n = 0 in the whole batch, which can give NaN for sequences that start later than others."
)


class SLSTMOptions(StackOptions):
    """Options of the kind `slstm`."""

    heads: Annotated[int, Field(ge=1)] = 1
    """Number of blocks of the recurrent matrices: a feature reads the features of its own head. A divisor of
    `hidden_size`; the paper uses 4."""
    forget: Literal["sigmoid", "exp"] = "sigmoid"
    """Activation of the forget gate."""


class SLSTMState(NamedTuple):
    """The state of one layer in one direction."""

    h: Tensor
    """Hidden state, `(batch, hidden_size)`."""
    c: Tensor
    """Memory, divided by exp(m), `(batch, hidden_size)`."""
    n: Tensor
    """Normalizer of the memory, divided by exp(m), `(batch, hidden_size)`."""
    m: Tensor
    """Logarithm of the scale of c and n, `(batch, hidden_size)`."""


class SLSTMCell(Cell):
    """One step of an sLSTM; its state is `SLSTMState(h, c, n, m)`.

    Attributes:
        weight_ih: `(4 * hidden_size, input_size)`; the rows of i, f, z, o.
        weight_hh: `(4 * hidden_size, hidden_size / heads)`; the rows of i, f, z, o, each of which reads the features of
            its own head.
        bias: `(4 * hidden_size,)`, or None.
    """

    State = SLSTMState
    recurrent_dropout_parts: ClassVar[tuple[str, ...]] = ("h",)
    bookkeeping: ClassVar[tuple[str, ...]] = ("n", "m")
    supports_zoneout = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        forget: Literal["sigmoid", "exp"] = "sigmoid",
        bias: bool = True,
        layer: int = 0,
        num_layers: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.heads = heads
        self.forget = forget
        self.weight_ih = self.new_parameter(4 * hidden_size, input_size)
        self.weight_hh = nn.init.zeros_(self.new_parameter(4 * hidden_size, hidden_size // heads))
        self.bias = nn.init.zeros_(self.new_parameter(4 * hidden_size)) if bias else None
        if self.bias is not None:
            with torch.no_grad():
                self.bias.chunk(4)[1].copy_(self._forget_biases(layer / max(num_layers - 1, 1)))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)

    def step(self, projected_t: Tensor, state: SLSTMState) -> tuple[Tensor, SLSTMState]:
        i, f, z, o = (projected_t + self._recurrence(state.h)).chunk(4, -1)
        log_f = (F.logsigmoid(f) if self.forget == "sigmoid" else f) + state.m
        m = torch.where(state.n == 0, i, torch.maximum(log_f, i))
        i, f = torch.exp(i - m), torch.exp(torch.clamp(log_f - m, max=0))  # clamped: at the first step i may be lower
        c = f * state.c + i * torch.tanh(z)
        n = f * state.n + i
        h = torch.sigmoid(o) * c / n
        return h, SLSTMState(h, c, n, m)

    def set_forget_bias(self, value: float) -> None:
        if self.bias is not None:
            self.bias.chunk(4)[1].fill_(value)

    def recurrent_weights(self) -> list[Tensor]:
        """Return the square matrices of each gate and head, `(hidden_size / heads, hidden_size / heads)` each."""
        return list(self.weight_hh.split(self.hidden_size // self.heads))

    def init_orthogonal(self) -> None:
        orthogonal_(self.weight_hh, self.hidden_size // self.heads)

    def symbols(self) -> dict[str, Any]:
        biases = [0] * 4 if self.bias is None else self.bias.chunk(4)
        per_gate = [torch.block_diag(*weight.chunk(self.heads)) for weight in self.weight_hh.chunk(4)]
        symbols: dict[str, Any] = {r"\phi": F.logsigmoid if self.forget == "sigmoid" else torch.clone}
        for gate, w_i, w_h, b in zip("ifzo", self.weight_ih.chunk(4), per_gate, biases, strict=True):
            symbols |= {f"W_{{i{gate}}}": w_i, f"W_{{h{gate}}}": w_h, f"b_{gate}": b}
        return symbols

    def _recurrence(self, h: Tensor) -> Tensor:
        """Return the products with the hidden state, `(batch, 4 * hidden_size)`."""
        if self.heads == 1:
            return F.linear(h, self.weight_hh)
        size = self.hidden_size // self.heads
        weights = self.weight_hh.view(4, self.heads, size, size).unbind(1)
        products = [
            F.linear(part, weight.flatten(0, 1)) for part, weight in zip(h.chunk(self.heads, -1), weights, strict=True)
        ]
        return torch.stack([each.unflatten(-1, (4, size)) for each in products], 2).flatten(1)

    def _forget_biases(self, height: float) -> Tensor:
        """Return the start of the biases of the forget gate, `(hidden_size,)`.

        Args:
            height: the place of the layer in the stack, from 0 for the lowest to 1 for the highest.
        """
        steps = torch.linspace(0, 1, self.hidden_size // self.heads, **self._new)
        return (5 - 12 * steps ** (0.3 + 1.3 * height)).repeat(self.heads)


def check(spec: RecurrentSpec[SLSTMOptions]) -> Iterator[Problem]:
    heads = spec.options.heads
    if any(size % heads for size in spec.hidden_sizes):
        yield Problem("options.heads", f"hidden_size={spec.hidden_size} must be a multiple of heads={heads}")


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            SLSTMCell,
            name="slstm",
            summary="An LSTM with exponential gates that can revise what it stored, from the xLSTM.",
            keywords=["xLSTM"],
            family="gated",
            equation=r"""
                \tilde{i}_t &= W_{ii} x_t + W_{hi} h_{t-1} + b_i \\
                \tilde{f}_t &= \phi(W_{if} x_t + W_{hf} h_{t-1} + b_f) \\
                z_t &= \tanh(W_{iz} x_t + W_{hz} h_{t-1} + b_z) \\
                o_t &= \sigma(W_{io} x_t + W_{ho} h_{t-1} + b_o) \\
                m_t &= \max(\tilde{f}_t + m_{t-1}, \tilde{i}_t) \\
                i_t &= \exp(\tilde{i}_t - m_t) \\
                f_t &= \exp(\tilde{f}_t + m_{t-1} - m_t) \\
                c_t &= f_t \odot c_{t-1} + i_t \odot z_t \\
                n_t &= f_t \odot n_{t-1} + i_t \\
                h_t &= o_t \odot \frac{c_t}{n_t}
            """,
            meanings={
                "W_{hi}": "block-diagonal recurrent weights, a block for each head",
                "W_{hf}": "block-diagonal recurrent weights, a block for each head",
                "W_{hz}": "block-diagonal recurrent weights, a block for each head",
                "W_{ho}": "block-diagonal recurrent weights, a block for each head",
                "i_t": "input gate, scaled: how much of the new values enters the memory",
                "f_t": "forget gate, scaled: how much of the memory stays",
                "z_t": "new values for the memory",
                "o_t": "output gate: how much of the memory enters the hidden state",
                r"\tilde{i}_t": "logarithm of the input gate",
                r"\tilde{f}_t": "logarithm of the forget gate",
                r"\phi": 'logarithm of the logistic function; the identity with `forget="exp"`',
            },
            papers=[BECK],
            notes=[BLOCK_NOTE, START_NOTE, FIRST_STEP_NOTE],
            options=SLSTMOptions,
            check=check,
        )
    )
