"""A small cell to test with."""

import torch
from torch.nn import functional as F

from rnnkit import Cell, CellState


class SimpleCell(Cell):
    """h_t = tanh(W x_t + U h_{t-1} + b)."""

    def __init__(self, input_size, hidden_size, *, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)
        self.bias = self.new_parameter(hidden_size) if bias else None

    def project(self, x):
        return F.linear(x, self.weight_ih, self.bias)

    def step(self, projected_t, state):
        h = self.activation(projected_t + self.recurrence(state.h))
        return h, CellState(h)

    def activation(self, x):
        return torch.tanh(x)

    def recurrence(self, h):
        return F.linear(h, self.weight_hh)

    def symbols(self):
        return {"W": self.weight_ih, "U": self.weight_hh, "b": 0 if self.bias is None else self.bias}
