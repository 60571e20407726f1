"""The recurrent modules of torch as stacks of cells, which run step by step."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Backbone, CellStack, RecurrentSpec
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_builtin.lstm_cell import LSTMCell, LSTMCellState
from rnnkit_builtin.rnn_cell import RNNCell

_CELLS: dict[str, Any] = {
    "RNN_TANH": RNNCell,
    "RNN_RELU": partial(RNNCell, nonlinearity="relu"),
    "GRU": GRUCell,
    "LSTM": LSTMCell,
}


class ProjectedLSTMCell(LSTMCell):
    """An LSTM whose hidden state is multiplied by `weight_hr`, `(proj_size, hidden_size)`, as with `proj_size`."""

    def __init__(self, input_size: int, hidden_size: int, *, proj_size: int, **arguments: Any) -> None:
        super().__init__(input_size, hidden_size, **arguments)
        self.output_size = proj_size
        self.weight_hh = self.new_parameter(4 * hidden_size, proj_size)
        self.weight_hr = self.new_parameter(proj_size, hidden_size)

    def step(self, projected_t: Tensor, state: LSTMCellState) -> tuple[Tensor, LSTMCellState]:
        h, new = super().step(projected_t, state)
        h = F.linear(h, self.weight_hr)
        return h, LSTMCellState(h, new.c)

    def state_shapes(self, batch_size: int) -> Any:
        h: Any = torch.Size((batch_size, self.output_size))
        c: Any = torch.Size((batch_size, self.hidden_size))
        return LSTMCellState(h, c)


class StepLoopBackbone(Backbone):
    """A backbone with the weights and the states of another, around a recurrent module of torch, as a stack of cells.

    Args:
        original: the other backbone.
        rnn: its module.
    """

    def __init__(self, original: Backbone, rnn: nn.RNNBase) -> None:
        names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional")
        spec = RecurrentSpec(kind="lstm_cell", **{name: getattr(rnn, name) for name in names})
        super().__init__(spec, features=original.features)
        cell = partial(ProjectedLSTMCell, proj_size=rnn.proj_size) if rnn.proj_size else _CELLS[rnn.mode]
        self.stack = CellStack(spec, [cell] * rnn.num_layers, device="meta", dtype=original.dtype)
        self.stack.force_step_loop = True
        self.state_shapes = original.state_shapes  # type: ignore[method-assign]  # the state is that of the original
        _share_weights(self.stack, rnn)

    def state_shapes(self, batch_size: int) -> Any:
        raise NotImplementedError

    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, Any]:
        cells: Any = self.stack.cells
        states = state and tuple([cell.State(*parts) for cell, *parts in zip(cells, *state, strict=True)])
        output, final = self.stack.run(x, states, lengths)
        state_class = type(self.state_shapes(0))
        return output, state_class(*[torch.stack(parts) for parts in zip(*final, strict=True)])


def _share_weights(stack: CellStack, rnn: nn.RNNBase) -> None:
    for index, cell in enumerate(stack.cells):
        layer, direction = divmod(index, stack.directions)
        for name, _ in list(cell.named_parameters()):
            weight = getattr(rnn, f"{name}_l{layer}{'_reverse' * direction}")
            setattr(cell, name, nn.Parameter(weight.detach(), requires_grad=False))
