"""The recurrent modules of torch as stacks of cells, which run step by step or by an executor."""

from __future__ import annotations

from collections.abc import Callable
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


class CellBackbone(Backbone):
    """A backbone with the states of another, around a recurrent module of torch, as a stack of cells without weights.

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
        # not the method of the original, whose memory would then be freed by the garbage collector only
        self._shapes_without_batch = original.state_shapes(0)

    def state_shapes(self, batch_size: int) -> Any:
        shapes = self._shapes_without_batch
        return type(shapes)(*[torch.Size((layers, batch_size, size)) for layers, _, size in shapes])

    def set_weights(self, weight: Callable[[str], nn.Parameter]) -> None:
        """Give the cells weights: the function returns one by its name in the module."""
        for index, cell in enumerate(self.stack.cells):
            layer, direction = divmod(index, self.stack.directions)
            parameters = cell._parameters  # noqa: SLF001  # as `setattr`, in a tenth of the time
            parameters.update({name: weight(f"{name}_l{layer}{'_reverse' * direction}") for name in parameters})

    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, Any]:
        output, final = self.stack.run(x, self._of_cells(state), lengths)
        return output, self._of_module(final)

    def run_planned(self, x: Tensor, state: Any | None, lengths: Tensor | None, *, dropout: float) -> Any:
        """Compute `run` by executors, as `CellStack.run_planned`; the dropout between layers is `dropout`."""
        if self.stack.dropout != dropout:  # setting an attribute of a module takes longer
            self.stack.dropout = dropout
        result = self.stack.run_planned(x, self._of_cells(state), lengths)
        return result if isinstance(result, str) else (result[0], self._of_module(result[1]))

    def _of_cells(self, state: Any | None) -> Any:
        cells: Any = self.stack.cells
        return state and tuple([cell.State(*parts) for cell, *parts in zip(cells, *state, strict=True)])

    def _of_module(self, states: Any) -> Any:
        state_class = type(self._shapes_without_batch)
        return state_class(*[torch.stack(parts) for parts in zip(*states, strict=True)])


def as_step_loop(original: Backbone, rnn: nn.RNNBase) -> CellBackbone:
    """Return a backbone with the weights of a recurrent module of torch that runs the steps of cells."""
    backbone = CellBackbone(original, rnn)
    backbone.stack.force_step_loop = True
    # a parametrized weight is computed, and no parameter
    backbone.set_weights(lambda name: nn.Parameter(getattr(rnn, name).detach(), requires_grad=False))
    return backbone
