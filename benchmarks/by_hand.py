"""The handwritten counterparts of kinds.

Constructors take `(input_size, hidden_size, num_layers, output_size)` and create their parameters in the same order as
rnnkit, so that both sides have the same weights after the same seed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from tests.helpers.handwritten import GRUModel, LSTMModel, MultiLayerRNN, RNNModel

Constructor = Callable[[int, int, int, int], nn.Module]

TORCH, LOOP, TORCHRECURRENT = "torch.nn", "loop", "torchrecurrent"


class TanhRNNModel(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, layer_dim: int, output_dim: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(input_dim, hidden_dim, layer_dim, batch_first=True)
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.rnn(x)
        y: Tensor = self.fc(out[:, -1, :])
        return y


class LSTMBelowGRU(nn.Module):
    """Layers of LSTM and GRU in turn, as in `mixed`."""

    def __init__(self, input_dim: int, hidden_dim: int, layer_dim: int, output_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for layer in range(layer_dim):
            module = nn.GRU if layer % 2 else nn.LSTM
            self.layers.append(module(hidden_dim if layer else input_dim, hidden_dim, batch_first=True))
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x, _ = layer(x)
        y: Tensor = self.fc(x[:, -1, :])
        return y


class MultiLayerGRU(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, num_layers: int, output_dim: int) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.gru_cells = nn.ModuleList(
            [nn.GRUCell(input_dim, hidden_dim)] + [nn.GRUCell(hidden_dim, hidden_dim) for _ in range(num_layers - 1)]
        )
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x: Tensor) -> Tensor:
        hidden_states = [torch.zeros(x.size(0), self.hidden_dim).to(x.device) for _ in range(self.num_layers)]
        for seq in range(x.size(1)):
            xt = x[:, seq, :]
            for layer in range(self.num_layers):
                hidden_states[layer] = self.gru_cells[layer](xt, hidden_states[layer])
                xt = hidden_states[layer]
        y: Tensor = self.fc(hidden_states[-1])
        return y


class MultiLayerLSTM(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, num_layers: int, output_dim: int) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.lstm_cells = nn.ModuleList(
            [nn.LSTMCell(input_dim, hidden_dim)] + [nn.LSTMCell(hidden_dim, hidden_dim) for _ in range(num_layers - 1)]
        )
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x: Tensor) -> Tensor:
        hidden_states = [torch.zeros(x.size(0), self.hidden_dim).to(x.device) for _ in range(self.num_layers)]
        cell_states = [torch.zeros(x.size(0), self.hidden_dim).to(x.device) for _ in range(self.num_layers)]
        for seq in range(x.size(1)):
            xt = x[:, seq, :]
            for layer in range(self.num_layers):
                state = hidden_states[layer], cell_states[layer]
                hidden_states[layer], cell_states[layer] = self.lstm_cells[layer](xt, state)
                xt = hidden_states[layer]
        y: Tensor = self.fc(hidden_states[-1])
        return y


class TorchRecurrentMGU(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, layer_dim: int, output_dim: int) -> None:
        super().__init__()
        torchrecurrent = import_module(TORCHRECURRENT)
        self.mgu = torchrecurrent.MGU(input_dim, hidden_dim, num_layers=layer_dim, batch_first=True)
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.mgu(x)
        y: Tensor = self.fc(out[:, -1, :])
        return y


_rnn_loop: Constructor = MultiLayerRNN


def relu_loop(input_dim: int, hidden_dim: int, num_layers: int, output_dim: int) -> nn.Module:
    """Return the loop for `rnn`, with the nonlinearity of `RNNModel`."""
    loop = _rnn_loop(input_dim, hidden_dim, num_layers, output_dim)
    for module in loop.modules():
        if isinstance(module, nn.RNNCell):
            module.nonlinearity = "relu"
    return loop


COUNTERPARTS: dict[str, dict[str, Constructor]] = {
    "rnn": {TORCH: RNNModel, LOOP: relu_loop},
    "rnn_cell": {TORCH: TanhRNNModel, LOOP: MultiLayerRNN},
    "lstm": {TORCH: LSTMModel, LOOP: MultiLayerLSTM},
    "lstm_cell": {TORCH: LSTMModel, LOOP: MultiLayerLSTM},
    "gru": {TORCH: GRUModel, LOOP: MultiLayerGRU},
    "gru_cell": {TORCH: GRUModel, LOOP: MultiLayerGRU},
    "mixed": {TORCH: LSTMBelowGRU},
    "mgu": {TORCHRECURRENT: TorchRecurrentMGU} if find_spec(TORCHRECURRENT) else {},
}
"""The constructors of the counterparts of each kind."""
