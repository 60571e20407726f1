"""The kind `xlstm_matrix`: the mLSTM of xLSTM, an LSTM whose cell state is a matrix for each head."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell, Kind, Paper, StackOptions, cell_kind, hookimpl, matrix_scan
from rnnkit_builtin._exporting import is_exporting
from rnnkit_builtin._heads import check_heads

BECK = Paper(
    title="xLSTM: Extended Long Short-Term Memory",
    authors="Maximilian Beck, Korbinian Pöppel, Markus Spanring, Andreas Auer, Oleksandra Prudnikova, Michael Kopp, "
    "Günter Klambauer, Johannes Brandstetter, Sepp Hochreiter",
    year=2024,
    link="https://arxiv.org/abs/2405.04517",
)

TRANSPOSE_NOTE = (
    "As in the authors' code, C_t is the transpose of the paper's, and the bias of k_t is divided by √d too."
)
GATES_NOTE = (
    "As in the paper, the gates read the input. In the authors' block they read queries, keys and values, and the "
    "output gate is a part of the block."
)
EPSILON_NOTE = "The authors' code adds 1e-6 to the denominator, which is never below e^(-m_t)."
NAME_NOTE = 'Another cell is also known as "mLSTM": the multiplicative LSTM of Krause et al., 2016.'


class XLSTMMatrixOptions(StackOptions):
    """Options of the kind `xlstm_matrix`."""

    heads: Annotated[int, Field(ge=1)] = 1
    """Number of heads, each with its own matrix; it must divide `hidden_size`. The paper uses 4."""


class XLSTMMatrixState(NamedTuple):
    """The state of an `XLSTMMatrixCell`; C and n are stored divided by e^m, so that nothing overflows."""

    C: Tensor
    """Matrix memory, `(batch, heads, head_size, head_size)`."""
    n: Tensor
    """Normalizer, `(batch, heads, head_size)`."""
    m: Tensor
    """Stabilizer, `(batch, heads)`."""


class XLSTMMatrixCell(Cell):
    """One step of the mLSTM of xLSTM; its state is `XLSTMMatrixState(C, n, m)`.

    Attributes:
        weight_ih: `(4 * hidden_size + 2 * heads, input_size)`; the rows of q, k, v and o, each in the order of the
            heads, then one row for each head of i, and of f.
        bias: `(4 * hidden_size + 2 * heads,)`, or None.
    """

    State = XLSTMMatrixState
    parallel_over_time = True
    narrows_state = False
    bookkeeping = ("n", "m")
    supports_zoneout = False  # C and n are stored divided by e^m

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.heads = heads
        self.head_size = hidden_size // heads
        rows = 4 * hidden_size + 2 * heads
        self.weight_ih = self.new_parameter(rows, input_size)
        self.bias = self.new_parameter(rows) if bias else None
        self._initialize()

    @torch.no_grad()
    def _initialize(self) -> None:
        *_, w_i, w_f = self._split(self.weight_ih)
        nn.init.zeros_(w_i)
        nn.init.zeros_(w_f)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
            *_, b_i, b_f = self._split(self.bias)
            nn.init.normal_(b_i, std=0.1)
            b_f.copy_(torch.linspace(3, 6, self.heads, device=b_f.device))

    def _split(self, parameter: Tensor, dim: int = 0) -> list[Tensor]:
        """Return the parts of q, k, v, o, i and f."""
        return list(parameter.split([self.hidden_size] * 4 + [self.heads] * 2, dim))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        projected = F.linear(x, self.weight_ih, self.bias)
        *features, i, f = self._split(projected, -1)
        q, k, v, o = (each.unflatten(-1, (self.heads, self.head_size)) for each in features)
        return q, k / self.head_size**0.5, v, torch.sigmoid(o), i, F.logsigmoid(f)

    def step(self, projected_t: Any, state: XLSTMMatrixState) -> tuple[Tensor, XLSTMMatrixState]:
        q, k, v, o, i, log_f = projected_t
        m = torch.maximum(log_f + state.m, i)
        f, k = torch.exp(log_f + state.m - m).unsqueeze(-1), torch.exp(i - m).unsqueeze(-1) * k
        c = f.unsqueeze(-1) * state.C + k.unsqueeze(-1) * v.unsqueeze(-2)
        n = f * state.n + k
        y = (q.unsqueeze(-2) @ c).squeeze(-2)
        return _read(o, y, (n * q).sum(-1, keepdim=True), m), XLSTMMatrixState(c, n, m)

    def unroll(self, x: Tensor, state: XLSTMMatrixState, lengths: Tensor | None) -> Any:
        """Run the cell in chunks: with m_t known, C and n are linear recurrences with decays of at most 1."""
        if is_exporting():  # an exported program must not depend on rnnkit's operator
            return NotImplemented
        q, k, v, o, i, log_f = self.project(x)
        m = _running_maximum(log_f, i, state.m)
        log_decay = log_f + torch.cat([state.m[None], m[:-1]]) - m
        k = torch.exp(i - m).unsqueeze(-1) * k
        # n is one more column of C, which a value of 1 writes
        v, s = F.pad(v, (0, 1), value=1.0), torch.cat([state.C, state.n.unsqueeze(-1)], -1)
        y, s = matrix_scan(q, k, v, log_decay.unsqueeze(-1), s, lengths=lengths)
        last = m[-1] if lengths is None else m[lengths - 1, torch.arange(m.shape[1], device=m.device)]
        return _read(o, y[..., :-1], y[..., -1:], m), XLSTMMatrixState(s[..., :-1], s[..., -1], last)

    def state_shapes(self, batch_size: int) -> Any:
        shape = (batch_size, self.heads, self.head_size, self.head_size)
        parts: Any = (torch.Size(shape), torch.Size(shape[:3]), torch.Size(shape[:2]))
        return XLSTMMatrixState(*parts)

    def set_forget_bias(self, value: float) -> None:
        if self.bias is not None:
            self._split(self.bias)[-1].fill_(value)

    def symbols(self) -> dict[str, Any]:
        bias = torch.zeros_like(self.weight_ih[:, 0]) if self.bias is None else self.bias
        found: dict[str, Any] = {"d": self.head_size}
        for letter, weight, b in zip("qkvoif", self._split(self.weight_ih), self._split(bias), strict=True):
            if letter in "if":
                found |= {f"w_{letter}": list(weight), f"b_{letter}": list(b)}
            else:
                found |= {f"W_{letter}": list(weight.chunk(self.heads)), f"b_{letter}": list(b.chunk(self.heads))}
        return found


def _read(o: Tensor, y: Tensor, normalizer: Tensor, m: Tensor) -> Tensor:
    """Return the output, `(..., hidden_size)`."""
    # Beyond the largest number the output is 0, but its gradient would be NaN.
    largest = math.log(torch.finfo(m.dtype).max) - 1
    lower = torch.exp(torch.clamp(-m, max=largest)).unsqueeze(-1)
    return (o * y / torch.maximum(normalizer.abs(), lower)).flatten(-2)


def _running_maximum(log_f: Tensor, i: Tensor, m0: Tensor) -> Tensor:
    """Return m_t = max(log_f_t + m_{t-1}, i_t) of all steps, by combining steps, pairs, fours and so on."""
    m = torch.cat([torch.maximum(log_f[:1] + m0, i[:1]), i[1:]])
    distance = 1
    while distance < m.shape[0]:
        m = torch.cat([m[:distance], torch.maximum(m[distance:], log_f[distance:] + m[:-distance])])
        log_f = torch.cat([log_f[:distance], log_f[distance:] + log_f[:-distance]])
        distance *= 2
    return m


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            XLSTMMatrixCell,
            name="xlstm_matrix",
            summary="The mLSTM of xLSTM: an LSTM with a matrix as memory, which runs in parallel over time.",
            keywords=["xLSTM", "mLSTM"],
            family="matrix",
            equation=r"""
                q_t &= W_q x_t + b_q \\
                k_t &= \frac{W_k x_t + b_k}{\sqrt{d}} \\
                v_t &= W_v x_t + b_v \\
                o_t &= \sigma(W_o x_t + b_o) \\
                \tilde{i}_t &= w_i^\top x_t + b_i \\
                \tilde{f}_t &= \log(\sigma(w_f^\top x_t + b_f)) \\
                m_t &= \max(\tilde{f}_t + m_{t-1}, \tilde{i}_t) \\
                i_t &= e^{\tilde{i}_t - m_t} \\
                f_t &= e^{\tilde{f}_t + m_{t-1} - m_t} \\
                C_t &= f_t C_{t-1} + i_t k_t v_t^\top \\
                n_t &= f_t n_{t-1} + i_t k_t \\
                y_t &= o_t \odot \frac{C_t^\top q_t}{\max(|n_t^\top q_t|, e^{-m_t})}
            """,
            meanings={
                "q_t": "query: where the memory is read",
                "k_t": "key: where the value is written",
                "v_t": "value",
                "o_t": "output gate",
                r"\tilde{i}_t": "logarithm of the exponential input gate",
                r"\tilde{f}_t": "logarithm of the forget gate",
                "i_t": "input gate, stabilized",
                "f_t": "forget gate, stabilized",
                "m_t": "stabilizer: C and n are stored divided by e^m",
                "C_t": "matrix memory",
                "n_t": "normalizer: the sum of the keys",
                "d": "hidden_size / heads",
            },
            papers=[BECK],
            notes=[TRANSPOSE_NOTE, GATES_NOTE, EPSILON_NOTE, NAME_NOTE],
            options=XLSTMMatrixOptions,
            check=check_heads,
        )
    )
