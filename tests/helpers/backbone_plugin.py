"""A kind that is not a stack of cells, in a plugin to plant faults in."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Backbone, Kind, hookimpl


class EchoState(NamedTuple):
    h: Tensor


class Echo(Backbone):
    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.directions * spec.hidden_sizes[-1])
        self.spec = spec
        count, hidden_size = spec.num_layers * spec.directions, spec.hidden_sizes[0]
        sizes = [spec.input_size, *[spec.directions * hidden_size] * (spec.num_layers - 1)]
        make = {"device": device, "dtype": dtype, "bias": spec.bias}
        self.reads = nn.ModuleList(
            nn.Linear(sizes[row // spec.directions], hidden_size, **make) for row in range(count)
        )
        self.recurs = nn.ModuleList(nn.Linear(hidden_size, hidden_size, **make) for _ in range(count))

    def state_shapes(self, batch_size):
        rows = self.spec.num_layers * self.spec.directions
        return EchoState(torch.Size((rows, batch_size, self.spec.hidden_sizes[0])))

    def run(self, x, state, lengths):
        x = x.transpose(0, 1) if self.batch_first else x
        rows = list((self.initial_state(x.shape[1]) if state is None else state).h)
        for layer in range(self.spec.num_layers):
            if layer > 0 and self.training:
                x = F.dropout(x, self.spec.dropout)
            ways = []
            for direction in range(self.spec.directions):
                row = layer * self.spec.directions + direction
                output, rows[row] = self.through(row, x, rows[row], lengths, reverse=direction == 1)
                ways.append(output)
            x = torch.cat(ways, -1)
        return (x.transpose(0, 1) if self.batch_first else x), EchoState(torch.stack(rows))

    def through(self, row, x, h, lengths, *, reverse):
        time = len(x)
        outputs = [torch.empty(0)] * time
        for t in reversed(range(time)) if reverse else range(time):
            new = torch.tanh(self.reads[row](x[t]) + self.recurs[row](h))
            h = new if lengths is None else torch.where((t < lengths)[:, None], new, h)
            outputs[t] = h
        return torch.stack(outputs), h


@hookimpl
def register_kinds(register):
    register(Kind(name="echo", builder=Echo, summary="A kind that is not a stack of cells."))
