"""The kind `mgu` for rnnkit: the Minimal Gated Unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Backbone, Kind, Paper, RecurrentSpec, hookimpl


class MGUState(NamedTuple):
    """The state of one layer in one direction."""

    h: Tensor
    """`(batch, hidden_size)`."""


class MGUCell(nn.Module):
    """One layer in one direction: its weights, and one step of it.

    Attributes:
        weight_ih: W_if above W_in, `(2 * hidden_size, input_size)`.
        weight_hf: W_hf, `(hidden_size, hidden_size)`.
        weight_hn: W_hn, `(hidden_size, hidden_size)`.
        bias: b_f above b_n, `(2 * hidden_size,)`; None: there are none.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(2 * hidden_size, input_size, device=device, dtype=dtype))
        self.weight_hf = nn.Parameter(torch.empty(hidden_size, hidden_size, device=device, dtype=dtype))
        self.weight_hn = nn.Parameter(torch.empty(hidden_size, hidden_size, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(2 * hidden_size, device=device, dtype=dtype)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)  # as torch's recurrent modules

    def project(self, x: Tensor) -> Tensor:
        """What f_t and n_t read of x, all steps at once: `(..., input_size)` -> `(..., 2 * hidden_size)`."""
        return F.linear(x, self.weight_ih, self.bias)

    def step(self, projected_t: Tensor, h: Tensor) -> Tensor:
        """The next h, `(batch, hidden_size)`, from `projected_t`, `(batch, 2 * hidden_size)`."""
        x_f, x_n = projected_t.chunk(2, dim=-1)
        f_t = torch.sigmoid(x_f + F.linear(h, self.weight_hf))
        n_t = torch.tanh(x_n + F.linear(f_t * h, self.weight_hn))
        return (1 - f_t) * h + f_t * n_t


class MGUBackbone(Backbone):
    """Layers and directions of `MGUCell`, unrolled over time.

    `cells` holds one cell, and the state one `MGUState(h)`, for each layer and direction, in torch's order: layer 0
    forward, layer 0 reverse, layer 1 forward, and so on.
    """

    def __init__(
        self, spec: RecurrentSpec[Any], *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        directions = 2 if spec.bidirectional else 1
        super().__init__(spec, features=directions * spec.hidden_size)
        self.hidden_size = spec.hidden_size
        self.directions = directions
        self.dropout = spec.dropout
        sizes = [spec.input_size] + [self.features] * (spec.num_layers - 1)
        self.cells = nn.ModuleList(
            MGUCell(size, spec.hidden_size, bias=spec.bias, device=device, dtype=dtype)
            for size in sizes
            for _ in range(directions)
        )

    def state_shapes(self, batch_size: int) -> tuple[MGUState, ...]:
        shape: Any = torch.Size((batch_size, self.hidden_size))
        return tuple(MGUState(shape) for _ in self.cells)

    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, tuple[MGUState, ...]]:
        x = x.transpose(0, 1) if self.batch_first else x  # (time, batch, features) from here on
        padded = None if lengths is None else _padding(x, lengths)
        before = self.initial_state(x.shape[1]) if state is None else state
        final: list[MGUState] = []
        for layer in range(0, len(self.cells), self.directions):
            if layer > 0:
                x = F.dropout(x, self.dropout, self.training)
            ways = []
            for index in range(layer, layer + self.directions):
                cell: Any = self.cells[index]  # a ModuleList does not know what it holds
                output, h = _unroll(cell, x, before[index].h, padded, reverse=index > layer)
                ways.append(output)
                final.append(MGUState(h))
            x = torch.cat(ways, dim=-1)
        return (x.transpose(0, 1) if self.batch_first else x), tuple(final)


def _padding(x: Tensor, lengths: Tensor) -> Tensor:
    """True where a step is past its row's length: `(time, batch, 1)`."""
    steps = torch.arange(len(x), device=x.device)
    return (steps[:, None] >= lengths).unsqueeze(-1)


def _unroll(cell: MGUCell, x: Tensor, h: Tensor, padded: Tensor | None, *, reverse: bool) -> tuple[Tensor, Tensor]:
    """The h of every step, `(time, batch, hidden_size)`, and the last one; a padded step keeps it as it was."""
    projected = cell.project(x).unbind()
    outputs = list(projected)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        h_t = cell.step(projected[t], h)
        h = outputs[t] = h_t if padded is None else torch.where(padded[t], h, h_t)
    return torch.stack(outputs), h


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        Kind(
            name="mgu",
            builder=MGUBackbone,
            summary="One gate decides both what to forget and what to take in, with two thirds of a GRU's weights.",
            equation=r"""
                f_t &= \sigma(W_{if} x_t + b_f + W_{hf} h_{t-1}) \\
                n_t &= \tanh(W_{in} x_t + b_n + W_{hn} (f_t \odot h_{t-1})) \\
                h_t &= (1 - f_t) \odot h_{t-1} + f_t \odot n_t
            """,
            paper=Paper(
                title="Minimal Gated Unit for Recurrent Neural Networks",
                authors="Guo-Bing Zhou, Jianxin Wu, Chen-Lin Zhang, Zhi-Hua Zhou",
                year=2016,
                link="https://arxiv.org/abs/1603.09420",
            ),
        )
    )
