"""The parts that FastRNN and FastGRNN share: two matrices, each of which may be a product of two smaller ones."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell, Paper, StackOptions

KUSUPATI = Paper(
    title="FastGRNN: A Fast, Accurate, Stable and Tiny Kilobyte Sized Gated Recurrent Neural Network",
    authors="Aditya Kusupati, Manish Singh, Kush Bhatia, Ashish Kumar, Prateek Jain, Manik Varma",
    year=2018,
    link="https://arxiv.org/abs/1901.02358",
)

_Rank = Annotated[int, Field(ge=1)] | None


class LowRankOptions(StackOptions):
    """Options of the kinds `fastrnn` and `fastgrnn`."""

    input_rank: _Rank = None
    """Rank of the matrix that reads the input, the product of two smaller ones; None: one matrix of full rank."""
    recurrent_rank: _Rank = None
    """Rank of the matrix that reads the state, the product of two smaller ones; None: one matrix of full rank."""


class LowRankCell(Cell):
    """A cell that reads the input by one matrix and the state by another one.

    Attributes:
        weight_ih: `(hidden_size, input_size)`, or `(hidden_size, input_rank)`.
        weight_ih_right: `(input_rank, input_size)`; None with full rank.
        weight_hh: `(hidden_size, hidden_size)`, or `(hidden_size, recurrent_rank)`.
        weight_hh_right: `(recurrent_rank, hidden_size)`; None with full rank.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        input_rank: int | None = None,
        recurrent_rank: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self._new_normal(hidden_size, input_rank or input_size)
        self.weight_ih_right = self._new_normal(input_rank, input_size) if input_rank else None
        self.weight_hh = self._new_normal(hidden_size, recurrent_rank or hidden_size)
        self.weight_hh_right = self._new_normal(recurrent_rank, hidden_size) if recurrent_rank else None

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x if self.weight_ih_right is None else F.linear(x, self.weight_ih_right), self.weight_ih)

    def add_recurrence(self, projected_t: Tensor, h: Tensor) -> Tensor:
        """Return W_i x_t + W_h h_{t-1}, `(batch, hidden_size)`."""
        h = h if self.weight_hh_right is None else F.linear(h, self.weight_hh_right)
        return torch.addmm(projected_t, h, self.weight_hh.t())

    def symbols(self) -> dict[str, Any]:
        return {
            "W_i": self.weight_ih if self.weight_ih_right is None else self.weight_ih @ self.weight_ih_right,
            "W_h": self.weight_hh if self.weight_hh_right is None else self.weight_hh @ self.weight_hh_right,
        }

    def new_constant(self, value: float, size: int = 1) -> nn.Parameter:
        """Create a parameter, all of whose entries are a number."""
        parameter = self.new_parameter(size)
        nn.init.constant_(parameter, value)
        return parameter

    def _new_normal(self, *shape: int) -> nn.Parameter:
        parameter = self.new_parameter(*shape)
        nn.init.normal_(parameter, std=0.1)
        return parameter
