"""Correct cells and backbones of the literature that are unlike the built-in kinds."""

from typing import NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Cell, CellState, Problem, StackOptions
from tests.helpers.cells import SimpleCell


class OscillatorState(NamedTuple):
    y: Tensor
    z: Tensor


class CoRNNCell(Cell):
    """A coupled oscillatory RNN (Rusch and Mishra, 2021, arXiv 2010.00951), with constants of the paper."""

    State = OscillatorState

    def __init__(self, input_size, hidden_size, *, step_size=0.042, gamma=2.7, epsilon=4.7, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.step_size, self.gamma, self.epsilon = step_size, gamma, epsilon
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hy = self.new_parameter(hidden_size, hidden_size)
        self.weight_hz = self.new_parameter(hidden_size, hidden_size)
        self.bias_h = self.new_parameter(hidden_size)

    def project(self, x):
        return F.linear(x, self.weight_ih, self.bias_h)

    def step(self, projected_t, state):
        force = torch.tanh(projected_t + F.linear(state.y, self.weight_hy) + F.linear(state.z, self.weight_hz))
        z = state.z + self.step_size * (force - self.gamma * state.y - self.epsilon * state.z)
        y = state.y + self.step_size * z
        return y, OscillatorState(y, z)

    def symbols(self):
        constants = {r"\Delta t": self.step_size, r"\gamma": self.gamma, r"\epsilon": self.epsilon}
        weights = {"W": self.weight_hy, r"\mathcal{W}": self.weight_hz, "V": self.weight_ih, "b": self.bias_h}
        return {**constants, **weights}


CO_RNN_EQUATION = r"""
    \mathbf{z}_t &= \mathbf{z}_{t-1}
        + \Delta t (\tanh(W \mathbf{y}_{t-1} + \mathcal{W} \mathbf{z}_{t-1} + V \mathbf{x}_t + b)
        - \gamma \mathbf{y}_{t-1} - \epsilon \mathbf{z}_{t-1}) \\
    \mathbf{y}_t &= \mathbf{y}_{t-1} + \Delta t \mathbf{z}_t
"""


class EchoStateCell(Cell):
    """A leaky echo state network (Jaeger, 2001): a fixed random reservoir, of which only the readout is trained."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        weight_ih, weight_hh = self.new_parameter(hidden_size, input_size), self.new_parameter(hidden_size, hidden_size)
        radius = 0.9 / torch.linalg.eigvals(weight_hh.detach().double()).abs().max()
        self.register_buffer("weight_ih", weight_ih.detach())
        self.register_buffer("weight_hh", weight_hh.detach() * radius.to(weight_hh))

    def project(self, x):
        return 0.1 * F.linear(x, self.weight_ih)

    def step(self, projected_t, state):
        h = 0.7 * state.h + 0.3 * torch.tanh(projected_t + F.linear(state.h, self.weight_hh))
        return h, CellState(h)


class MemoryState(NamedTuple):
    s: Tensor


class LinearAttentionCell(Cell):
    """Linear attention (Katharopoulos et al., 2020): a query of the input reads the state, so zeros give zeros."""

    State = MemoryState

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_qkv = self.new_parameter(3 * hidden_size, input_size)

    def state_shapes(self, batch_size):
        return MemoryState(torch.Size((batch_size, self.hidden_size, self.hidden_size)))

    def project(self, x):
        return F.linear(x, self.weight_qkv)

    def step(self, projected_t, state):
        query, key, value = projected_t.chunk(3, dim=-1)
        s = 0.9 * state.s + value[:, :, None] * key[:, None]
        return (s @ query[:, :, None])[:, :, 0], MemoryState(s)


class HeadsState(NamedTuple):
    C: Tensor
    n: Tensor


class HeadsCell(Cell):
    """A matrix LSTM (Beck et al., 2024, arXiv 2405.04517) of two heads, whose gates are logistic functions."""

    State = HeadsState
    heads = 2

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_qkvo = self.new_parameter(4, self.heads, hidden_size // self.heads, input_size)
        self.weight_f = self.new_parameter(self.heads, input_size)
        self.bias_f = self.new_parameter(self.heads)

    def state_shapes(self, batch_size):
        size = self.hidden_size // self.heads
        return HeadsState(torch.Size((batch_size, self.heads, size, size)), torch.Size((batch_size, self.heads, size)))

    def step(self, x_t, state):
        query, key, value, out = torch.einsum("ahdi,bi->abhd", self.weight_qkvo, x_t)
        forget = torch.sigmoid(F.linear(x_t, self.weight_f, self.bias_f))[:, :, None]
        C = forget[..., None] * state.C + value[..., :, None] * key[..., None, :]
        n = forget * state.n + key
        norm = (n * query).sum(-1, keepdim=True).abs().clamp(min=1)
        h = torch.sigmoid(out) * torch.einsum("bhvk,bhk->bhv", C, query) / norm
        return h.flatten(1), HeadsState(C, n)

    def symbols(self):
        query, key, value, out = (list(weight) for weight in self.weight_qkvo)
        weights = {"W_q": query, "W_k": key, "W_v": value, "W_o": out}
        return {**weights, "w_f": list(self.weight_f), "b_f": list(self.bias_f)}


HEADS_EQUATION = r"""
    f_t &= \sigma(w_f^\top x_t + b_f), \quad \\
    q_t &= W_q x_t \\ k_t &= W_k x_t \\ v_t &= W_v x_t \\
    C_t &= f_t C_{t-1} + v_t k_t^{\top} \\
    n_t &= f_t n_{t-1} + k_t \\
    y_t &= \sigma(W_o x_t) \odot \frac{C_t q_t}{\max(|n_t^\top q_t|, 1)}
"""


class GridOptions(StackOptions):
    """The shape of an image as the state, of as many pixels as there are features."""

    height: int = 1
    """Height of the image."""

    width: int = 1
    """Width of the image."""


def grid_problems(spec):
    """The problem of a spec whose image does not fit."""
    if spec.options.height * spec.options.width != spec.hidden_size:
        yield Problem("options.height", f"height times width must be hidden_size={spec.hidden_size}")


class GridCell(Cell):
    """A cell whose state is an image: each pixel mixes with the mean of its row."""

    def __init__(self, input_size, hidden_size, *, height=1, width=1, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.height, self.width = height, width
        self.weight_ih = self.new_parameter(hidden_size, input_size)

    def state_shapes(self, batch_size):
        return CellState(torch.Size((batch_size, self.height, self.width)))

    def project(self, x):
        return F.linear(x, self.weight_ih).unflatten(-1, (self.height, self.width))

    def step(self, projected_t, state):
        h = torch.tanh(projected_t + 0.5 * state.h + 0.4 * state.h.mean(-1, keepdim=True))
        return h.flatten(1), CellState(h)


class BandOptions(StackOptions):
    """Options with one rule between two of them."""

    low: float = Field(default=0.25, ge=0, le=1)
    """Lower bound of the activation."""

    high: float = Field(default=0.5, ge=0, le=1)
    """Upper bound of the activation."""

    @model_validator(mode="after")
    def _ordered(self):
        if self.low >= self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")
        return self


class BandCell(Cell):
    """A plain cell, with its activation between two bounds."""

    def __init__(self, input_size, hidden_size, *, low=0.25, high=0.5, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.low, self.high = low, high
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)

    def step(self, x_t, state):
        h = torch.sigmoid(F.linear(x_t, self.weight_ih) + F.linear(state.h, self.weight_hh))
        h = self.low + (self.high - self.low) * h
        return h, CellState(h)


class HeadsOptions(StackOptions):
    """Heads among which the features are divided."""

    heads: int = Field(default=1, ge=1)
    """Number of heads."""


def heads_problems(spec):
    """The problem of a spec whose features cannot be divided among its heads."""
    if any(size % spec.options.heads for size in spec.hidden_sizes):
        yield Problem("options.heads", f"heads={spec.options.heads} must divide hidden_size={spec.hidden_size}")


class SplitCell(SimpleCell):
    """A plain cell whose recurrent weight has a block for each head."""

    def __init__(self, input_size, hidden_size, *, heads=1, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        if hidden_size % heads:
            raise ValueError(f"{heads} heads of {hidden_size} features")
        self.heads = heads

    def recurrence(self, h):
        head = torch.arange(self.hidden_size, device=h.device) * self.heads // self.hidden_size
        return F.linear(h, self.weight_hh * (head[:, None] == head))


class Reservoir(SimpleCell):
    """Learns nothing: its weights are buffers."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        for name, weight in list(self.named_parameters()):
            delattr(self, name)
            self.register_buffer(name, weight.detach())


class Noisy(SimpleCell):
    """Adds noise in training."""

    def step(self, projected_t, state):
        return super().step(projected_t + (torch.randn_like(projected_t) if self.training else 0), state)


class Normalized(SimpleCell):
    """Has statistics that training changes."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.register_buffer("mean", torch.zeros(self.input_size, **self._new))

    def project(self, x):
        if self.training:
            self.mean.lerp_(x.detach().flatten(0, -2).mean(0).nan_to_num(), 0.1)
        return super().project(x - self.mean)


class Sums(Cell):
    """h_t = h_{t-1} + W x_t, which is a running sum: there is a fused path."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight = self.new_parameter(hidden_size, input_size)

    def project(self, x):
        return F.linear(x, self.weight)

    def step(self, projected_t, state):
        h = state.h + projected_t
        return h, CellState(h)

    def unroll(self, x, state, lengths):
        return self.ends(self.summed(x, state), lengths)

    def summed(self, x, state):
        return state.h + self.project(x).cumsum(0)

    def ends(self, sums, lengths):
        return sums, CellState(sums[-1] if lengths is None else sums[lengths - 1, torch.arange(len(lengths))])


class Counts(SimpleCell):
    """Counts its training steps."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device=where.get("device")))

    def activation(self, x):
        if self.training:
            self.steps += 1
        return torch.tanh(x)
