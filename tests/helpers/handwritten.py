"""Handwritten models that rnnkit replaces, to compare specs with.

They are written as in the notes that rnnkit is based on, except that `RNNModel` keeps the final state in `hn` where the
notes print its shape.
"""

from typing import NamedTuple

import torch
from torch import nn


class RNNModel(nn.Module):
    def __init__(self, input_dim, hidden_dim, layer_dim, output_dim):
        super().__init__()
        self.hidden_dim = hidden_dim
        self.layer_dim = layer_dim
        self.rnn = nn.RNN(input_dim, hidden_dim, layer_dim, batch_first=True, nonlinearity="relu")
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x):
        h0 = torch.zeros(self.layer_dim, x.size(0), self.hidden_dim)
        out, self.hn = self.rnn(x, h0)
        out = self.fc(out[:, -1, :])
        return out


class MultiLayerRNN(nn.Module):
    def __init__(self, input_dim, hidden_dim, num_layers, output_dim):
        super().__init__()
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.rnn_cells = nn.ModuleList(
            [nn.RNNCell(input_dim, hidden_dim)] + [nn.RNNCell(hidden_dim, hidden_dim) for _ in range(num_layers - 1)]
        )
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x):
        batch_size = x.size(0)
        seq_length = x.size(1)
        hidden_states = [torch.zeros(batch_size, self.hidden_dim).to(x.device) for _ in range(self.num_layers)]
        for seq in range(seq_length):
            xt = x[:, seq, :]
            for layer in range(self.num_layers):
                hidden_states[layer] = self.rnn_cells[layer](xt, hidden_states[layer])
                xt = hidden_states[layer]
        out = self.fc(hidden_states[-1])
        return out


class LSTMModel(nn.Module):
    def __init__(self, input_dim, hidden_dim, layer_dim, output_dim):
        super().__init__()
        self.hidden_dim = hidden_dim
        self.layer_dim = layer_dim
        self.lstm = nn.LSTM(input_dim, hidden_dim, layer_dim, batch_first=True)
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x):
        h0 = torch.zeros(self.layer_dim, x.size(0), self.hidden_dim).to(x.device)
        c0 = torch.zeros(self.layer_dim, x.size(0), self.hidden_dim).to(x.device)
        out, _ = self.lstm(x, (h0, c0))
        out = self.fc(out[:, -1, :])
        return out


class GRUModel(nn.Module):
    def __init__(self, input_dim, hidden_dim, layer_dim, output_dim):
        super().__init__()
        self.hidden_dim = hidden_dim
        self.layer_dim = layer_dim
        self.gru = nn.GRU(input_dim, hidden_dim, layer_dim, batch_first=True)
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x):
        h0 = torch.zeros(self.layer_dim, x.size(0), self.hidden_dim).to(x.device)
        out, _ = self.gru(x, h0)
        out = self.fc(out[:, -1, :])
        return out


class ByHand(NamedTuple):
    """A handwritten class and its equivalent in a spec."""

    build: type[nn.Module]
    options: dict[str, str]
    recurrent: str
    """Attribute of the class with its recurrent part."""
    ours: str
    """Attribute of the backbone with the same part."""


HANDWRITTEN = {
    "rnn": ByHand(RNNModel, {"nonlinearity": "relu"}, "rnn", "rnn"),
    "rnn_cell": ByHand(MultiLayerRNN, {}, "rnn_cells", "cells"),
    "lstm": ByHand(LSTMModel, {}, "lstm", "rnn"),
    "gru": ByHand(GRUModel, {}, "gru", "rnn"),
}
