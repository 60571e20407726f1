"""The kind `sru`: the simple recurrent unit, which has no product with the state and a highway connection."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import CellState, Kind, LinearCell, Paper, StackOptions, cell_kind, hookimpl

LEI = Paper(
    title="Simple Recurrent Units for Highly Parallelizable Recurrence",
    authors="Tao Lei, Yu Zhang, Sida I. Wang, Hui Dai, Yoav Artzi",
    year=2018,
    link="https://arxiv.org/abs/1709.02755",
)

NAMES_NOTE = "The paper calls the state c and the output h. Here they are h and y."
SKIP_NOTE = (
    "W_s is the identity if input and state have one size. Otherwise alpha is 1, and W_s starts larger by alpha, as in "
    "the authors' code."
)
RESCALE_NOTE = "The class SRU of the authors' package has alpha = 1 unless `rescale=True`."


class SRUOptions(StackOptions):
    """Options of the kind `sru`."""

    peephole: bool = True
    """Whether the gates read the state, element-wise, as in the paper. Without, as in its first version, a whole
    sequence is one scan."""

    highway_bias: Annotated[float, Field(le=10)] = 0.0
    """Bias of the reset gate at the start; below zero, the output starts closer to the input."""


class SRUCell(LinearCell):
    """One step of the simple recurrent unit; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(3 * hidden_size, input_size)`; the rows of the candidate n, the forget gate f and the reset gate r.
            If the two sizes differ, `(4 * hidden_size, input_size)`, with those of the highway connection last.
        weight_peephole: `(2 * hidden_size,)`; v_f, then v_r. None with `peephole=False`.
        bias: `(2 * hidden_size,)`, of f and r, or None.
    """

    parallel_over_time = False  # with the default, `peephole=True`, each step reads the state

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        peephole: bool = True,
        highway_bias: float = 0.0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        matrices = 3 if input_size == hidden_size else 4
        self.weight_ih = self.new_parameter(matrices * hidden_size, input_size)
        self.weight_peephole = self.new_parameter(2 * hidden_size) if peephole else None
        self.bias = self.new_parameter(2 * hidden_size) if bias else None
        alpha = math.sqrt(1 + 2 * math.exp(highway_bias))
        self.alpha = alpha if matrices == 3 else 1.0
        self._initialize(alpha, highway_bias)

    @torch.no_grad()
    def _initialize(self, alpha: float, highway_bias: float) -> None:
        """Start as the authors' code: the variance of the state and of the output is that of the input."""
        bound = math.sqrt(3 / self.input_size)
        nn.init.uniform_(self.weight_ih, -bound, bound)
        _, gates, highway = self._rows(self.weight_ih)
        highway.mul_(alpha)
        if self.weight_peephole is not None:  # each of two terms has half of the variance
            gates.mul_(math.sqrt(0.5))
            nn.init.uniform_(self.weight_peephole, -math.sqrt(1.5), math.sqrt(1.5))
        if self.bias is not None:
            f, r = self.bias.chunk(2)
            nn.init.zeros_(f)
            nn.init.constant_(r, highway_bias)

    def _rows(self, tensor: Tensor, dim: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Split off the candidate, both gates, and the highway connection, which may be empty."""
        sizes = [self.hidden_size, 2 * self.hidden_size]
        n, gates, highway = tensor.split([*sizes, tensor.shape[dim] - sum(sizes)], dim)
        return n, gates, highway

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n, gates, highway = self._rows(F.linear(x, self.weight_ih), -1)
        if self.bias is not None:
            gates = gates + self.bias
        return n, gates, x if self.input_size == self.hidden_size else highway

    def coefficients(self, x: Tensor) -> tuple[Tensor, ...]:
        n, gates, highway = self._parts(x)
        f, r = gates.chunk(2, -1)
        return torch.sigmoid(f), torch.sigmoid(-f) * n, r, highway

    def read(self, h: Tensor, *inputs: Tensor) -> Tensor:
        """Return the output from the state, the reset gate before its sigmoid, and the highway connection."""
        r, highway = inputs
        # alpha is large where the gate is close to 1: there 1 - sigmoid(r) would lose all digits
        return torch.sigmoid(r) * h + self.alpha * (torch.sigmoid(-r) * highway)

    def project(self, x: Tensor) -> Any:
        return super().project(x) if self.weight_peephole is None else self._parts(x)

    def step(self, projected_t: Any, state: CellState) -> tuple[Tensor, CellState]:
        if self.weight_peephole is None:
            return super().step(projected_t, state)
        n, gates, highway = projected_t
        f, r = (gates + self.weight_peephole * torch.cat([state.h, state.h], -1)).chunk(2, -1)
        h = torch.sigmoid(f) * state.h + torch.sigmoid(-f) * n
        return self.read(h, r, highway), CellState(h)

    def unroll(self, x: Tensor, state: CellState, lengths: Tensor | None) -> Any:
        return super().unroll(x, state, lengths) if self.weight_peephole is None else NotImplemented

    def set_forget_bias(self, value: float) -> None:
        """Set the bias of f."""
        if self.bias is not None:
            self.bias.chunk(2)[0].fill_(value)

    def set_chrono_bias(self, value: Tensor) -> None:
        if self.bias is not None:
            self.bias.chunk(2)[0].copy_(value)

    def symbols(self) -> dict[str, Any]:
        w_n, gates, highway = self._rows(self.weight_ih)
        w_f, w_r = gates.chunk(2)
        b_f, b_r = (0, 0) if self.bias is None else self.bias.chunk(2)
        v_f, v_r = (0, 0) if self.weight_peephole is None else self.weight_peephole.chunk(2)
        w_s = highway if len(highway) else torch.eye(self.hidden_size).to(w_n)
        weights = {"W_n": w_n, "W_f": w_f, "W_r": w_r, "W_s": w_s, "v_f": v_f, "v_r": v_r, "b_f": b_f, "b_r": b_r}
        return {**weights, r"\alpha": self.alpha}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            SRUCell,
            name="sru",
            summary="A light recurrent unit with a highway connection, whose matrices read the input alone.",
            keywords=["simple recurrent unit"],
            family="linear",
            equation=r"""
                n_t &= W_n x_t \\
                f_t &= \sigma(W_f x_t + v_f \odot h_{t-1} + b_f) \\
                r_t &= \sigma(W_r x_t + v_r \odot h_{t-1} + b_r) \\
                h_t &= f_t \odot h_{t-1} + (1 - f_t) \odot n_t \\
                y_t &= r_t \odot h_t + \alpha (1 - r_t) \odot W_s x_t
            """,
            meanings={
                "n_t": "new values for the state",
                "f_t": "forget gate: how much of the state stays",
                "r_t": "reset gate: how much of the output is the state, and not the input",
                r"\alpha": "scale of the highway connection, sqrt(1 + 2 exp(highway_bias))",
            },
            papers=[LEI],
            notes=[NAMES_NOTE, SKIP_NOTE, RESCALE_NOTE],
            options=SRUOptions,
        )
    )
