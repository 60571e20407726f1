"""The kind `rglru`: the recurrence of Griffin, whose decay is gated by the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Kind, LinearCell, Paper, StackOptions, cell_kind, hookimpl
from rnnkit_builtin._heads import check_heads

DE = Paper(
    title="Griffin: Mixing Gated Linear Recurrences with Local Attention for Efficient Language Models",
    authors="Soham De, Samuel L. Smith, Anushan Fernando, Aleksandar Botev, George Cristian-Muraru, Albert Gu, Ruba "
    "Haroun, Leonard Berrada, Yutian Chen, Srivatsan Srinivasan, Guillaume Desjardins, Arnaud Doucet, David Budden, "
    "Yee Whye Teh, Razvan Pascanu, Nando De Freitas, Caglar Gulcehre",
    year=2024,
    link="https://arxiv.org/abs/2402.19427",
)

INPUT_NOTE = (
    "The paper's layer has as many inputs as states. u_t is the linear map that precedes it in the paper's block, here "
    "without a bias."
)
SIGN_NOTE = "The parameter `a_param` of the authors' code, recurrentgemma, is -Lambda."
START_NOTE = (
    "Lambda starts as in the paper: with an open gate, the decay a^c is uniform between 0.9 and 0.999. recurrentgemma "
    "1.0.1 draws a from there instead, so that its state decays c = 8 times as fast."
)
FIRST_STEP_NOTE = (
    "recurrentgemma does not scale the first input of a sequence by sqrt(1 - a_t^2). The paper has no such exception."
)


class RGLRUOptions(StackOptions):
    """Options of the kind `rglru`."""

    heads: Annotated[int, Field(ge=1)] = 1
    """Number of diagonal blocks of the matrices of the gates, which must divide `hidden_size`."""

    c: Annotated[float, Field(gt=0)] = 8.0
    """Exponent of the decay with an open gate."""


class RGLRUCell(LinearCell):
    """One step of the Real-Gated Linear Recurrent Unit; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`; the map from x to u.
        weight_gates: `(2 * hidden_size, hidden_size / heads)`; the rows of r, then those of i, each in the order of the
            heads. The rows of a head read its features of u.
        bias: `(2 * hidden_size,)`, of r and i, or None.
        decay: `(hidden_size,)`; Λ.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        c: float = 8.0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.heads = heads
        self.c = c
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_gates = self.new_parameter(2 * hidden_size, hidden_size // heads)
        self.bias = self.new_parameter(2 * hidden_size) if bias else None
        self.decay = self.new_parameter(hidden_size)
        self._initialize()

    @torch.no_grad()
    def _initialize(self) -> None:
        for weight in (self.weight_ih, self.weight_gates):
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        log_a = nn.init.uniform_(self.decay, 0.9, 0.999).log_() / self.c
        self.decay.copy_(log_a - torch.log(-torch.expm1(log_a)))  # the logit of a

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        u = F.linear(x, self.weight_ih)
        r, i = torch.sigmoid(self._gates(u)).chunk(2, -1)
        log_a = self.c * F.logsigmoid(self.decay) * r
        # At a = 1 the root has an infinite derivative, which times zero would be NaN.
        squared = torch.clamp(-torch.expm1(2 * log_a), min=torch.finfo(log_a.dtype).tiny)
        return torch.exp(log_a), torch.sqrt(squared) * i * u

    def _gates(self, u: Tensor) -> Tensor:
        """Multiply the features of each head with its rows of the weight."""
        if self.heads == 1:
            return F.linear(u, self.weight_gates, self.bias)
        blocks = self.weight_gates.unflatten(0, (2, self.heads, -1))
        product = torch.einsum("...hi,ghoi->...gho", u.unflatten(-1, (self.heads, -1)), blocks).flatten(-3)
        return product if self.bias is None else product + self.bias

    def symbols(self) -> dict[str, Any]:
        w_r, w_i = (torch.block_diag(*weight.chunk(self.heads)) for weight in self.weight_gates.chunk(2))
        b_r, b_i = (0, 0) if self.bias is None else self.bias.chunk(2)
        weights = {"W_u": self.weight_ih, "W_r": w_r, "W_i": w_i, "b_r": b_r, "b_i": b_i}
        return {**weights, r"\Lambda": self.decay, "c": self.c}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            RGLRUCell,
            name="rglru",
            summary="The gated linear recurrence of Griffin, which keeps what it reads over thousands of steps.",
            keywords=["real-gated linear recurrent unit", "Griffin", "RecurrentGemma", "Hawk"],
            family="linear",
            equation=r"""
                u_t &= W_u x_t \\
                r_t &= \sigma(W_r u_t + b_r) \\
                i_t &= \sigma(W_i u_t + b_i) \\
                a_t &= \exp(c \log(\sigma(\Lambda)) \odot r_t) \\
                h_t &= a_t \odot h_{t-1} + \sqrt{1 - a_t^2} \odot i_t \odot u_t
            """,
            meanings={
                "W_r": "block-diagonal weights of the recurrence gate, a block for each head",
                "W_i": "block-diagonal weights of the input gate, a block for each head",
                "u_t": "input of the recurrence",
                "r_t": "recurrence gate: zero keeps the state and ignores the input",
                "i_t": "input gate: how much of the input enters the state",
                "a_t": "decay: the fraction of the state that stays",
                r"\Lambda": "parameter of the decay",
                "c": "the option `c`",
            },
            papers=[DE],
            notes=[INPUT_NOTE, SIGN_NOTE, START_NOTE, FIRST_STEP_NOTE],
            options=RGLRUOptions,
            check=check_heads,
        )
    )
