"""The kind `gated_deltanet`: a matrix for each head in which a step replaces what its key reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import (
    CausalConv,
    Cell,
    Kind,
    MatrixCell,
    MatrixState,
    Paper,
    StackOptions,
    cell_kind,
    hookimpl,
    matrix_scan,
)
from rnnkit_builtin._exporting import is_exporting
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
    "The authors' block has convolutions of queries, keys and values over 4 steps before the SiLU: set `conv=4`, with "
    "which their last inputs are a part of the state. As in the authors' code, they have no bias. The normalization, "
    "output gate and linear map behind the output of the block are not included."
)
TRANSPOSE_NOTE = "As in the authors' code, S_t is the transpose of the paper's, and the output is divided by √d."
NORM_NOTE = "As in the authors' code, 1e-6 is added to the squared norm of queries and keys, so that zeros stay zeros."

EPSILON = 1e-6

ATTENTION = r"""
    q_t &= \mathrm{unit}(\mathrm{silu}(W_q x_t)) \\
    k_t &= \mathrm{unit}(\mathrm{silu}(W_k x_t)) \\
    v_t &= \mathrm{silu}(W_v x_t) \\"""
CONVOLVED_ATTENTION = r"""
    q_t &= \mathrm{unit}(\mathrm{silu}(\mathrm{conv}_q(W_q x_t, \mathrm{tail}_{t-1}))) \\
    k_t &= \mathrm{unit}(\mathrm{silu}(\mathrm{conv}_k(W_k x_t, \mathrm{tail}_{t-1}))) \\
    v_t &= \mathrm{silu}(\mathrm{conv}_v(W_v x_t, \mathrm{tail}_{t-1})) \\
    \mathrm{tail}_t &= \mathrm{push}(W_q x_t, W_k x_t, W_v x_t, \mathrm{tail}_{t-1}) \\"""
DELTA_RULE = r"""
    \beta_t &= c \sigma(w_\beta^\top x_t) \\
    \alpha_t &= e^{-A \mathrm{softplus}(w_\alpha^\top x_t + b_\alpha)} \\
    D_t &= \alpha_t S_{t-1} \\
    S_t &= D_t + \beta_t k_t (v_t - D_t^\top k_t)^\top \\
    y_t &= \frac{S_t^\top q_t}{\sqrt{d}}
"""


class GatedDeltaNetOptions(StackOptions):
    """Options of the kind `gated_deltanet`."""

    heads: Annotated[int, Field(ge=1)] = 1
    """Number of heads, each with its own state; it must divide `hidden_size`. The papers use 4 and more."""

    gated: bool = True
    """Whether the state decays, gated by the input. False is DeltaNet."""

    negative_eigenvalues: bool = False
    """Whether beta is up to 2 instead of 1, with which a step can change signs, and the cell track states such as
    parity."""

    conv: Annotated[int, Field(ge=2)] | None = None
    """Number of steps that depthwise convolutions of queries, keys and values span, before the SiLU; 4 in the authors'
    code. None: no convolution."""


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
        conv: int | None = None,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if conv is not None:
            raise ValueError(f"conv={conv} requires ConvolvedGatedDeltaNetCell")
        super().__init__(input_size, hidden_size, heads=heads, device=device, dtype=dtype)
        self.gated = gated
        self.largest_beta = 2 if negative_eigenvalues else 1
        self.weight_ih = self.new_parameter(3 * hidden_size + (2 if gated else 1) * heads, input_size)
        self.log_rate = self.new_parameter(heads) if gated else None
        self.bias = self.new_parameter(heads) if gated and bias else None
        self._initialize()

    @classmethod
    def class_for(cls, options: Mapping[str, Any]) -> type[Cell]:
        return cls if options.get("conv") is None else ConvolvedGatedDeltaNetCell

    @torch.no_grad()
    def _initialize(self) -> None:
        """Start A uniform in [0, 16], and softplus(bias) log-uniform in [0.001, 0.1], as the authors do."""
        if self.log_rate is not None:
            nn.init.uniform_(self.log_rate, 0, 16).clamp_(min=1e-4).log_()
        if self.bias is not None:
            softplus = nn.init.uniform_(self.bias, math.log(0.001), math.log(0.1)).exp_()
            self.bias.copy_(softplus + torch.log(-torch.expm1(-softplus)))

    def coefficients(self, x: Tensor) -> tuple[Tensor, ...]:
        features, log_decay, beta = self._map(x)
        return *self._activate(features), log_decay, beta

    def _map(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features of queries, keys and values, log alpha and beta."""
        sizes = [3 * self.hidden_size, self.heads, self.heads]
        features, beta, *gate = F.linear(x, self.weight_ih).split(sizes if self.gated else sizes[:2], -1)
        beta = self.largest_beta * torch.sigmoid(beta)
        log_decay = self._log_decay(*gate) if gate else torch.zeros_like(beta)
        return features, log_decay.unsqueeze(-1), beta.unsqueeze(-1)

    def _activate(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = F.silu(features).unflatten(-1, (3, self.heads, self.head_size)).unbind(-3)
        return unit(q) / self.head_size**0.5, unit(k), v

    def _log_decay(self, gate: Tensor) -> Tensor:
        rate: Tensor = self.log_rate.exp()  # type: ignore[union-attr]  # a parameter if the cell is gated
        return -rate * F.softplus(gate if self.bias is None else gate + self.bias)

    def step(self, projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        y, s = self._advance(projected_t, state.S)
        return y, MatrixState(s)

    def _advance(self, coefficients_t: tuple[Tensor, ...], s: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v, decay, beta = coefficients_t
        s = decay.unsqueeze(-1) * s
        change = beta * (v - (k.unsqueeze(-2) @ s).squeeze(-2))
        s = s + k.unsqueeze(-1) * change.unsqueeze(-2)
        return self.read((q.unsqueeze(-2) @ s).squeeze(-2)), s

    def unroll(self, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
        if is_exporting():  # an exported program must not depend on rnnkit's operator
            return NotImplemented
        q, k, v, log_decay, beta = self.coefficients(x)
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


class ConvolvedMatrixState(NamedTuple):
    """The state of a `ConvolvedGatedDeltaNetCell`."""

    S: Tensor
    """`(batch, heads, head_size, head_size)`."""
    tail: Tensor
    """The last queries, keys and values before the convolution, `(batch, heads, conv - 1, 3 * head_size)`."""


class ConvolvedGatedDeltaNetCell(GatedDeltaNetCell):
    """A `GatedDeltaNetCell` with convolved queries, keys and values; its state is `ConvolvedMatrixState(S, tail)`.

    Attributes:
        convolution: depthwise, without a bias, as in the authors' code; its weight is `(3 * hidden_size, 1, conv)`,
            in the order of the rows of `weight_ih`.
    """

    State = ConvolvedMatrixState
    bookkeeping: ClassVar[tuple[str, ...]] = ("tail",)
    equation = CONVOLVED_ATTENTION + DELTA_RULE

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        conv: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype, **arguments)
        channels = 3 * hidden_size
        self.convolution = CausalConv(channels, channels, conv, depthwise=True, bias=False, device=device, dtype=dtype)

    def state_shapes(self, batch_size: int) -> Any:
        tail: Any = torch.Size((batch_size, self.heads, self.convolution.kernel_size - 1, 3 * self.head_size))
        return ConvolvedMatrixState(super().state_shapes(batch_size).S, tail)

    def project(self, x: Tensor) -> Any:
        features, log_decay, beta = self._map(x)
        return features, log_decay.exp(), beta

    def step(self, projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        features, decay, beta = projected_t
        features, tail = self.convolution.step(features, self._without_heads(state.tail))
        y, s = self._advance((*self._activate(features), decay, beta), state.S)
        return y, ConvolvedMatrixState(s, self._with_heads(tail))

    def unroll(self, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
        if is_exporting():  # as in `GatedDeltaNetCell`
            return NotImplemented
        features, log_decay, beta = self._map(x)
        features, tail = self.convolution(features, self._without_heads(state.tail), lengths)
        y, s = matrix_scan(*self._activate(features), log_decay, state.S, beta=beta, lengths=lengths)
        return self.read(y), ConvolvedMatrixState(s, self._with_heads(tail))

    def _with_heads(self, tail: Tensor) -> Tensor:
        """Return the tail of the convolution, `(batch, conv - 1, 3 * hidden_size)`, as a part of the state."""
        parts: Tensor = tail.unflatten(-1, (3, self.heads, self.head_size))
        return parts.movedim(3, 1).flatten(-2)

    def _without_heads(self, tail: Tensor) -> Tensor:
        parts: Tensor = tail.unflatten(-1, (3, self.head_size))
        return parts.movedim(1, 3).flatten(2)

    def symbols(self) -> dict[str, Any]:
        weights: Tensor = self.convolution.weight.squeeze(1).unflatten(0, (3, self.heads, self.head_size))

        def convolve(head: int, part: int, x: Tensor, tail: Tensor) -> Tensor:
            window = torch.cat([tail.chunk(3, -1)[part], x.mT], -2)
            return (window * weights[part, head].T).sum(-2)

        def push(q: Tensor, k: Tensor, v: Tensor, tail: Tensor) -> Tensor:
            return torch.cat([tail, torch.cat([q, k, v], -2).mT], -2)[..., 1:, :]

        convolutions = {
            f"\\mathrm{{conv}}_{name}": [partial(convolve, head, part) for head in range(self.heads)]
            for part, name in enumerate("qkv")
        }
        return {**super().symbols(), **convolutions, r"\mathrm{push}": push}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            GatedDeltaNetCell,
            name="gated_deltanet",
            summary="Linear attention that replaces what a key holds instead of adding to it.",
            keywords=["DeltaNet"],
            family="matrix",
            equation=ATTENTION + DELTA_RULE,
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
