"""The kind `gated_deltanet`: a matrix for each head in which a step replaces what its key reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import (
    Kind,
    MatrixCell,
    MatrixState,
    Paper,
    StackOptions,
    cell_kind,
    hookimpl,
    matrix_scan,
)
from rnnkit_builtin._heads import check_heads

YANG = Paper(
    title="Gated Delta Networks: Improving Mamba2 with Delta Rule",
    authors="Songlin Yang, Jan Kautz, Ali Hatamizadeh",
    year=2024,
    link="https://arxiv.org/abs/2412.06464",
)
SCHLAG = Paper(
    title="Linear Transformers Are Secretly Fast Weight Programmers",
    authors="Imanol Schlag, Kazuki Irie, Jürgen Schmidhuber",
    year=2021,
    link="https://arxiv.org/abs/2102.11174",
    contribution="the delta rule, `gated=False`",
)
PARALLEL = Paper(
    title="Parallelizing Linear Transformers with the Delta Rule over Sequence Length",
    authors="Songlin Yang, Bailin Wang, Yu Zhang, Yikang Shen, Yoon Kim",
    year=2024,
    link="https://arxiv.org/abs/2406.06484",
    contribution="chunks of steps as matrix products, and normalized keys after the SiLU",
)
GRAZZI = Paper(
    title="Unlocking State-Tracking in Linear RNNs Through Negative Eigenvalues",
    authors="Riccardo Grazzi, Julien Siems, Arber Zela, Jörg K. H. Franke, Frank Hutter, Massimiliano Pontil",
    year=2024,
    link="https://arxiv.org/abs/2411.12537",
    contribution="`negative_eigenvalues`",
)

BLOCK_NOTE = (
    "The authors' block has short convolutions over queries, keys and values before the SiLU, and a normalization, an "
    "output gate and a linear map behind the output. This kind is the recurrence alone."
)
TRANSPOSE_NOTE = "As in the authors' code, S_t is the transpose of the paper's, and the output is divided by √d."
NORM_NOTE = "As in the authors' code, 1e-6 is added to the squared norm of queries and keys, so that zeros stay zeros."

EPSILON = 1e-6


class GatedDeltaNetOptions(StackOptions):
    """Options of the kind `gated_deltanet`."""

    heads: Annotated[int, Field(ge=1)] = 1
    """Number of heads, each with its own state; it must divide `hidden_size`. The papers use 4 and more."""

    gated: bool = True
    """Whether the state decays, gated by the input. False is DeltaNet."""

    negative_eigenvalues: bool = False
    """Whether beta is up to 2 instead of 1, with which a step can change signs, and the cell track states such as
    parity."""


def unit(x: Tensor) -> Tensor:
    """Return x divided by its norm, computed in float32 at least: narrower gradients overflow."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.rsqrt(wide.square().sum(-1, keepdim=True) + EPSILON)).to(x.dtype)


class GatedDeltaNetCell(MatrixCell):
    """One step of the gated DeltaNet; its state is `MatrixState(S)`.

    Attributes:
        weight_ih: `(3 * hidden_size + 2 * heads, input_size)`; the rows of q, k and v, each in the order of the heads,
            then one row for each head of beta, and of alpha with `gated=True`.
        log_rate: with `gated=True`, log A of each head, `(heads,)`.
        bias: with `gated=True`, the bias of alpha, `(heads,)`, or None.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        gated: bool = True,
        negative_eigenvalues: bool = False,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, heads=heads, device=device, dtype=dtype)
        self.gated = gated
        self.largest_beta = 2 if negative_eigenvalues else 1
        self.weight_ih = self.new_parameter(3 * hidden_size + (2 if gated else 1) * heads, input_size)
        self.log_rate = self.new_parameter(heads) if gated else None
        self.bias = self.new_parameter(heads) if gated and bias else None
        self._initialize()

    @torch.no_grad()
    def _initialize(self) -> None:
        """Start A uniform in [0, 16], and softplus(bias) log-uniform in [0.001, 0.1], as the authors do."""
        if self.log_rate is not None:
            nn.init.uniform_(self.log_rate, 0, 16).clamp_(min=1e-4).log_()
        if self.bias is not None:
            softplus = nn.init.uniform_(self.bias, math.log(0.001), math.log(0.1)).exp_()
            self.bias.copy_(softplus + torch.log(-torch.expm1(-softplus)))

    def coefficients(self, x: Tensor) -> tuple[Tensor, ...]:
        sizes = [3 * self.hidden_size, self.heads, self.heads]
        features, beta, *gate = F.linear(x, self.weight_ih).split(sizes if self.gated else sizes[:2], -1)
        q, k, v = F.silu(features).unflatten(-1, (3, self.heads, self.head_size)).unbind(-3)
        beta = self.largest_beta * torch.sigmoid(beta)
        log_decay = self._log_decay(*gate) if gate else torch.zeros_like(beta)
        return unit(q) / self.head_size**0.5, unit(k), v, log_decay.unsqueeze(-1), beta.unsqueeze(-1)

    def _log_decay(self, gate: Tensor) -> Tensor:
        rate: Tensor = self.log_rate.exp()  # type: ignore[union-attr]  # a parameter if the cell is gated
        return -rate * F.softplus(gate if self.bias is None else gate + self.bias)

    def step(self, projected_t: Any, state: MatrixState) -> tuple[Tensor, MatrixState]:
        q, k, v, decay, beta = projected_t
        s = decay.unsqueeze(-1) * state.S
        change = beta * (v - (k.unsqueeze(-2) @ s).squeeze(-2))
        s = s + k.unsqueeze(-1) * change.unsqueeze(-2)
        return self.read((q.unsqueeze(-2) @ s).squeeze(-2)), MatrixState(s)

    def unroll(self, x: Tensor, state: MatrixState, lengths: Tensor | None) -> Any:
        if torch.compiler.is_exporting():  # an exported program must not depend on rnnkit's operator
            return NotImplemented
        *inputs, beta = self.coefficients(x)
        q, k, v, log_decay = inputs
        y, s = matrix_scan(q, k, v, log_decay, state.S, beta=beta, lengths=lengths)
        return self.read(y), MatrixState(s)

    def symbols(self) -> dict[str, Any]:
        features, beta = 3 * self.hidden_size, slice(3 * self.hidden_size, 3 * self.hidden_size + self.heads)
        w_q, w_k, w_v = (list(weight.chunk(self.heads)) for weight in self.weight_ih[:features].chunk(3))
        w_beta = self.weight_ih[beta]
        zeros = torch.zeros_like(w_beta)
        w_alpha = self.weight_ih[beta.stop :] if self.gated else zeros
        rate = zeros[:, 0] if self.log_rate is None else self.log_rate.exp()
        bias = zeros[:, 0] if self.bias is None else self.bias
        heads = {r"w_\beta": w_beta, r"w_\alpha": w_alpha, "A": rate, r"b_\alpha": bias}
        constants = {"d": self.head_size, "c": self.largest_beta, r"\mathrm{unit}": unit}
        return {"W_q": w_q, "W_k": w_k, "W_v": w_v, **{name: list(each) for name, each in heads.items()}, **constants}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            GatedDeltaNetCell,
            name="gated_deltanet",
            summary="Linear attention that replaces what a key holds, with the best recall of its family.",
            family="matrix",
            equation=r"""
                q_t &= \mathrm{unit}(\mathrm{silu}(W_q x_t)) \\
                k_t &= \mathrm{unit}(\mathrm{silu}(W_k x_t)) \\
                v_t &= \mathrm{silu}(W_v x_t) \\
                \beta_t &= c \sigma(w_\beta^\top x_t) \\
                \alpha_t &= e^{-A \mathrm{softplus}(w_\alpha^\top x_t + b_\alpha)} \\
                D_t &= \alpha_t S_{t-1} \\
                S_t &= D_t + \beta_t k_t (v_t - D_t^\top k_t)^\top \\
                y_t &= \frac{S_t^\top q_t}{\sqrt{d}}
            """,
            meanings={
                "q_t": "query: where the state is read",
                "k_t": "key: where the value is written",
                "v_t": "value",
                r"\beta_t": "rate: 1 replaces what the key holds by the value",
                r"\alpha_t": "decay: the fraction of the state that stays; 1 with `gated=False`",
                "D_t": "state after the decay",
                "A": "largest rate of the decay; 0 with `gated=False`",
                "c": "1; 2 with `negative_eigenvalues=True`",
                "d": "hidden_size / heads",
                r"\mathrm{unit}": "division by the Euclidean norm",
            },
            papers=[YANG, SCHLAG, PARALLEL, GRAZZI],
            notes=[BLOCK_NOTE, TRANSPOSE_NOTE, NORM_NOTE],
            options=GatedDeltaNetOptions,
            check=check_heads,
        )
    )
