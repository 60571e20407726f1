"""The kind `rnn_cell`: a stack of `torch.nn.RNNCell`, unrolled over time step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module

from rnnkit import Backbone, Kind, RecurrentSpec, hookimpl
from rnnkit_builtin.rnn import ELMAN, ELMAN_STEP, RNNOptions

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
Step = Callable[[Tensor, Tensor], Tensor]


class RNNCellState(NamedTuple):
    """The state of one layer in one direction."""

    h: Tensor
    """`(batch, hidden_size)`."""


class RNNCellBackbone(Backbone):
    """A stack of `torch.nn.RNNCell`: the numbers of `rnn`, from cells that can be hooked, replaced or frozen.

    `cells` holds one cell, and the state one `RNNCellState(h)`, for each layer and direction, in torch's order:
    layer 0 forward, layer 0 reverse, layer 1 forward, and so on.
    """

    def __init__(
        self, spec: RecurrentSpec[RNNOptions], *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        directions = 2 if spec.bidirectional else 1
        super().__init__(spec, features=directions * spec.hidden_size)
        self.directions = directions
        self.hidden_size = spec.hidden_size
        self.dropout = spec.dropout
        sizes = [spec.input_size] + [self.features] * (spec.num_layers - 1)
        self.cells = nn.ModuleList(
            nn.RNNCell(size, spec.hidden_size, spec.bias, spec.options.nonlinearity, device=device, dtype=dtype)
            for size in sizes
            for _ in range(self.directions)
        )

    def state_shapes(self, batch_size: int) -> tuple[RNNCellState, ...]:
        shape: Any = torch.Size((batch_size, self.hidden_size))
        return tuple(RNNCellState(shape) for _ in self.cells)

    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, tuple[RNNCellState, ...]]:
        time_axis = 1 if self.batch_first else 0
        steps: Sequence[Tensor] = x.unbind(time_axis)
        padded = None if lengths is None else [(t >= lengths).unsqueeze(-1) for t in range(len(steps))]
        before = self.initial_state(x.shape[1 - time_axis], device=x.device, dtype=x.dtype) if state is None else state
        final: list[RNNCellState] = []
        for layer in range(0, len(self.cells), self.directions):
            if layer > 0 and self.dropout > 0 and self.training:
                steps = F.dropout(torch.stack(tuple(steps)), self.dropout).unbind()
            ways = []
            for index in range(layer, layer + self.directions):
                step = _step_of(self.cells[index])
                outputs, h = _unroll(step, steps, before[index].h, padded, reverse=index > layer)
                ways.append(outputs)
                final.append(RNNCellState(h))
            steps = ways[0] if len(ways) == 1 else [torch.cat(pair, -1) for pair in zip(*ways, strict=True)]
        return torch.stack(tuple(steps), time_axis), tuple(final)


def _unroll(
    step: Step, steps: Sequence[Tensor], h: Tensor, padded: Sequence[Tensor] | None, *, reverse: bool
) -> tuple[list[Tensor], Tensor]:
    """The state after every step, and after the last one; a padded step keeps it as it was."""
    outputs = list(steps)
    for t in reversed(range(len(steps))) if reverse else range(len(steps)):
        new = step(steps[t], h)
        h = outputs[t] = new if padded is None else torch.where(padded[t], h, new)
    return outputs, h


def _step_of(cell: nn.Module) -> Step:
    """The update of a cell: the bare function where calling the module does nothing else, a sixth of the time less."""
    if not _is_plain(cell):
        return cell
    update = torch.rnn_tanh_cell if cell.nonlinearity == "tanh" else torch.rnn_relu_cell
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    return lambda x_t, h: update(x_t, h, *weights)


def _is_plain(cell: nn.Module) -> TypeGuard[nn.RNNCell]:
    """Whether a cell is torch's own class (a parametrization changes it) with nothing hooked or patched onto it."""
    hooked = any(getattr(cell, name) or getattr(torch_module, f"_global{name}") for name in _HOOKS)
    return type(cell) is nn.RNNCell and not hooked and "forward" not in vars(cell)


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        Kind(
            name="rnn_cell",
            builder=RNNCellBackbone,
            options=RNNOptions,
            summary="Elman's recurrent network as a stack of single-step cells, unrolled over time in Python.",
            equation=ELMAN_STEP,
            paper=ELMAN,
        )
    )
