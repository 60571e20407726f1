"""The kind `rnn_cell`: Elman's recurrent network as a stack of cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import CellState, Kind, StackOptions, cell_kind, hookimpl
from rnnkit_builtin._equations import ELMAN, ELMAN_MEANINGS, ELMAN_STEP
from rnnkit_builtin._torch_cell import TorchCell, unroll, unroll_layers


class RNNCellOptions(StackOptions):
    """Options of `rnn_cell`."""

    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Activation function, phi in the equation."""


class RNNCell(TorchCell):
    """One step of Elman's network, with the parameters of `torch.nn.RNNCell`; its state is `CellState(h)`.

    With `layer_norm`, phi is applied to LN(W_ih x_t + W_hh h_{t-1}) + b_ih + b_hh (Ba et al., arXiv 1607.06450).
    """

    recurrent_dropout_parts: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        layer_norm: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, gates=[1], bias=bias, layer_norm=False, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity
        self.norm = nn.LayerNorm(hidden_size, bias=False, device=device, dtype=dtype) if layer_norm else None

    def kernel(self) -> str | None:
        return f"rnn_{self.nonlinearity}" if self.norm is None else None

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, None if self.norm is not None else self.bias_ih)

    def step(self, projected_t: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        if self.norm is None:
            h = self._phi(projected_t + F.linear(state.h, self.weight_hh, self.bias_hh))
        else:
            h = self._phi(self._add_biases(self.norm(projected_t + F.linear(state.h, self.weight_hh))))
        return h, CellState(h)

    def symbols(self) -> dict[str, Any]:
        return {**self._symbols("h"), r"\phi": self._phi}

    unroll = unroll
    unroll_layers = staticmethod(unroll_layers)

    @property
    def _phi(self) -> Callable[[Tensor], Tensor]:
        return torch.tanh if self.nonlinearity == "tanh" else torch.relu

    def _add_biases(self, normalized: Tensor) -> Tensor:
        if self.bias_ih is None or self.bias_hh is None:
            return normalized
        return normalized + self.bias_ih + self.bias_hh


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            RNNCell,
            name="rnn_cell",
            keywords=["Elman network"],
            options=RNNCellOptions,
            summary="Elman's recurrent network as a stack of cells, with every option that stacks of cells have.",
            equation=ELMAN_STEP,
            meanings=ELMAN_MEANINGS,
            family="simple",
            papers=[ELMAN],
        )
    )
