"""The kind `gla`: gated linear attention, with the decays of linear attention, RetNet, GLA and HGRN2."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Kind, MatrixCell, MatrixState, Paper, Problem, RecurrentSpec, StackOptions, cell_kind, hookimpl
from rnnkit_builtin._heads import check_heads

YANG = Paper(
    title="Gated Linear Attention Transformers with Hardware-Efficient Training",
    authors="Songlin Yang, Bailin Wang, Yikang Shen, Rameswar Panda, Yoon Kim",
    year=2023,
    link="https://arxiv.org/abs/2312.06635",
    contribution="the decay for each feature, and chunks of steps as matrix products",
)
KATHAROPOULOS = Paper(
    title="Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention",
    authors="Angelos Katharopoulos, Apoorv Vyas, Nikolaos Pappas, François Fleuret",
    year=2020,
    link="https://arxiv.org/abs/2006.16236",
    contribution='linear attention, `decay="none"`',
)
SUN = Paper(
    title="Retentive Network: A Successor to Transformer for Large Language Models",
    authors="Yutao Sun, Li Dong, Shaohan Huang, Shuming Ma, Yuqing Xia, Jilong Xue, Jianyong Wang, Furu Wei",
    year=2023,
    link="https://arxiv.org/abs/2307.08621",
    contribution='retention, `decay="head"`',
)
QIN = Paper(
    title="HGRN2: Gated Linear RNNs with State Expansion",
    authors="Zhen Qin, Songlin Yang, Weixuan Sun, Xuyang Shen, Dong Li, Weigao Sun, Yiran Zhong",
    year=2024,
    link="https://arxiv.org/abs/2404.07904",
    contribution='keys that are tied to the decays, `decay="tied"`',
)

BLOCK_NOTE = (
    "The papers put a normalization, an output gate and a linear map behind the output. This kind is the "
    'recurrence alone: `layer_norm="output"` normalizes.'
)
RETENTION_NOTE = 'RetNet also rotates queries and keys by the position, which `decay="head"` leaves out.'
BOUND_NOTE = (
    "HGRN2 learns a lower bound of the decays, which rises with the layer; here it is 0, as in its first layer."
)
SIZE_NOTE = "GLA has keys of half the size of the values; here both have hidden_size / heads features."

Decay = Literal["none", "head", "feature", "tied"]


class GLAOptions(StackOptions):
    """Options of the kind `gla`."""

    decay: Decay = "feature"
    """How the state decays. `"feature"` is GLA: gated by the input, with one decay for each feature of the keys.
    `"tied"` is HGRN2: as `"feature"`, with keys that are 1 minus the decay. `"head"` is RetNet: a constant for each
    head. `"none"` is linear attention, with a normalized output."""

    heads: Annotated[int, Field(ge=1)] = 1
    """Number of heads, each with its own state; it must divide `hidden_size`. The papers use 4 and more."""

    gate_rank: Annotated[int, Field(ge=1)] = 16
    """Rank of the matrix of the decays with `decay="feature"`."""


ROOT = 16
"""Of the sigmoid in the decay of GLA, which keeps decays close to 1."""


def positive(x: Tensor) -> Tensor:
    """Return elu(x) + 1, without rounding small values to 0."""
    return F.relu(x) + torch.exp(torch.clamp(x, max=0))


class GLACell(MatrixCell):
    """One step of gated linear attention; its state is `MatrixState(S)`.

    With `decay="none"`, S is `(batch, heads, head_size, head_size + 1)`: its last column is the sum of the keys.

    Attributes:
        weight_ih: `(3 * hidden_size, input_size)`; the rows of q, of k and of v, each in the order of the heads. With
            `decay="tied"`, those of k are those of alpha.
        weight_down: with `decay="feature"`, the first factor of the matrix of alpha, `(gate_rank, input_size)`.
        weight_up: with `decay="feature"`, the second factor, `(hidden_size, gate_rank)`.
        bias: the bias of alpha with `decay="feature"` and `"tied"`, `(hidden_size,)`, or None.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        decay: Decay = "feature",
        heads: int = 1,
        gate_rank: int = 16,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, heads=heads, device=device, dtype=dtype)
        self.decay: Decay = decay
        self.weight_ih = self.new_parameter(3 * hidden_size, input_size)
        if decay == "feature":
            self.weight_down = self.new_parameter(gate_rank, input_size)
            self.weight_up = self.new_parameter(hidden_size, gate_rank)
        self.bias = self.new_parameter(hidden_size) if bias and decay in {"feature", "tied"} else None

    def coefficients(self, x: Tensor) -> tuple[Tensor, ...]:
        q, k, v = map(self._of_heads, F.linear(x, self.weight_ih).chunk(3, -1))
        match self.decay:
            case "none":
                return positive(q), positive(k), F.pad(v, (0, 1), value=1.0), torch.zeros_like(q[..., :1])
            case "head":
                log_decay = self._log_decays(q.dtype, q.device).unsqueeze(-1)
                return q, k, v, log_decay.expand(*q.shape[:-1], 1)
            case "feature":
                gate = F.linear(F.linear(x, self.weight_down), self.weight_up, self.bias)
                return q, k, v, F.logsigmoid(self._of_heads(gate)) / ROOT
            case "tied":
                gate = k if self.bias is None else k + self._of_heads(self.bias)
                return F.silu(q), torch.sigmoid(-gate), v, F.logsigmoid(gate)

    def _of_heads(self, features: Tensor) -> Tensor:
        heads: Tensor = features.unflatten(-1, (self.heads, self.head_size))
        return heads

    def _log_decays(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return the logarithm of the constant decay of each head, 1 - 2^-5, 1 - 2^-6 and so on."""
        heads = torch.arange(self.heads, dtype=dtype, device=device)
        return torch.log1p(-torch.exp2(-5 - heads))

    def read(self, y: Tensor, *_: Tensor) -> Tensor:
        return self._normalize(y).flatten(-2)

    def _normalize(self, y: Tensor) -> Tensor:
        if self.decay != "none":
            return y / math.sqrt(self.head_size)
        total = y[..., -1:]
        return y[..., :-1] / (total + (total == 0))  # the total is 0 where all products of keys and queries underflow

    def state_shapes(self, batch_size: int) -> Any:
        columns = self.head_size + 1 if self.decay == "none" else self.head_size
        shape: Any = torch.Size((batch_size, self.heads, self.head_size, columns))
        return MatrixState(shape)

    def set_forget_bias(self, value: float) -> None:
        """Start the decays at the sigmoid of a value, where the input is zero."""
        if self.bias is None:
            return
        log_decay = F.logsigmoid(torch.full_like(self.bias, value))
        limits = torch.finfo(log_decay.dtype)
        log_gate = (ROOT * log_decay if self.decay == "feature" else log_decay).clamp(min=limits.min)
        closed = (-torch.expm1(log_gate)).clamp(min=limits.tiny)  # is rounded to 0 for a large value
        self.bias.copy_(log_gate - torch.log(closed))  # the logit of exp(log_gate)

    def symbols(self) -> dict[str, Any]:
        w_q, w_k, w_v = self.weight_ih.chunk(3)
        w_a = w_k if self.decay == "tied" else torch.zeros_like(w_k)
        if self.decay == "feature":
            w_a = self.weight_up @ self.weight_down
        bias = torch.zeros_like(w_k[:, 0]) if self.bias is None else self.bias
        b_k = bias if self.decay == "tied" else torch.zeros_like(bias)
        tensors = {"W_q": w_q, "W_k": w_k, "b_k": b_k, "W_v": w_v, r"W_\alpha": w_a, r"b_\alpha": bias}
        functions = {r"\mathrm{read}": self._normalize, **FUNCTIONS[self.decay]}
        if self.decay == "head":
            decays = self._log_decays(bias.dtype, bias.device).exp()
            functions[r"\mathrm{decay}"] = [partial(torch.full_like, fill_value=decay) for decay in decays.tolist()]
        return {name: list(tensor.chunk(self.heads)) for name, tensor in tensors.items()} | functions


# The functions in the equation, by the option `decay`.
FUNCTIONS: dict[Decay, dict[str, Any]] = {
    "none": {
        r"\mathrm{query}": positive,
        r"\mathrm{key}": positive,
        r"\mathrm{value}": lambda v: F.pad(v, (0, 1), value=1.0),
        r"\mathrm{decay}": torch.ones_like,
    },
    "head": {r"\mathrm{query}": torch.clone, r"\mathrm{key}": torch.clone, r"\mathrm{value}": torch.clone},
    "feature": {
        r"\mathrm{query}": torch.clone,
        r"\mathrm{key}": torch.clone,
        r"\mathrm{value}": torch.clone,
        r"\mathrm{decay}": lambda a: torch.sigmoid(a) ** (1 / ROOT),
    },
    "tied": {
        r"\mathrm{query}": F.silu,
        r"\mathrm{key}": lambda k: torch.sigmoid(-k),
        r"\mathrm{value}": torch.clone,
        r"\mathrm{decay}": torch.sigmoid,
    },
}


def check(spec: RecurrentSpec[Any]) -> Iterator[Problem]:
    yield from check_heads(spec)
    decay = spec.options.decay
    if spec.options.forget_bias is not None and decay in {"none", "head"}:
        yield Problem("options.forget_bias", f"decay={decay!r} has no gate: leave forget_bias at None")


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            GLACell,
            name="gla",
            summary="Gated linear attention: a large memory that is addressed by keys and forgets by features.",
            keywords=["linear attention", "RetNet", "HGRN2"],
            family="matrix",
            equation=r"""
                q_t &= \mathrm{query}(W_q x_t) \\
                k_t &= \mathrm{key}(W_k x_t + b_k) \\
                v_t &= \mathrm{value}(W_v x_t) \\
                \alpha_t &= \mathrm{decay}(W_\alpha x_t + b_\alpha) \\
                S_t &= \mathrm{diag}(\alpha_t) S_{t-1} + k_t v_t^\top \\
                y_t &= \mathrm{read}(S_t^\top q_t)
            """,
            meanings={
                r"W_\alpha": 'weights of the decay, of low rank; `W_k` for `decay="tied"`',
                "q_t": "query: where the state is read",
                "k_t": "key: where the value is written",
                "v_t": "value",
                r"\alpha_t": "decay: the fraction of each row of the state that stays",
                r"\mathrm{query}": 'the identity; the SiLU for `decay="tied"`, elu + 1 for `decay="none"`',
                r"\mathrm{key}": 'the identity; 1 minus the decay for `decay="tied"`, elu + 1 for `decay="none"`',
                r"\mathrm{value}": 'the identity; for `decay="none"` it appends a 1, which counts the keys',
                r"\mathrm{decay}": 'the 16th root of the sigmoid; the sigmoid for `decay="tied"`, 1 - 2^(-5-j) in '
                'head j for `decay="head"`, 1 for `decay="none"`',
                r"\mathrm{read}": 'division by √(hidden_size / heads); for `decay="none"`, by the last feature',
                "b_k": 'the bias of the decay for `decay="tied"`, otherwise 0',
            },
            papers=[YANG, KATHAROPOULOS, SUN, QIN],
            notes=[BLOCK_NOTE, RETENTION_NOTE, BOUND_NOTE, SIZE_NOTE],
            options=GLAOptions,
            check=check,
        )
    )
