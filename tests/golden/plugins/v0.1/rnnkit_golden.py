"""A plugin as one is written for rnnkit 0.1. It stays as it is: every later 0.x has to take it."""

from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import (
    Backbone,
    Cell,
    CellState,
    Deprecation,
    Kind,
    KindAlias,
    Options,
    Paper,
    Problem,
    StackOptions,
    cell_kind,
    hookimpl,
)

# A cell with an option of its own


class GatedOptions(StackOptions):
    """The options of `golden_cell`.

    Attributes:
        sharpness: what the gate is multiplied by.
    """

    sharpness: Annotated[float, Field(gt=0)] = 1.0


class GatedCell(Cell):
    def __init__(self, input_size, hidden_size, *, bias=True, sharpness=1.0, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.sharpness = sharpness
        self.weight_ih = self.new_parameter(2 * hidden_size, input_size)
        self.weight_hh = self.new_parameter(2 * hidden_size, hidden_size)
        self.bias = self.new_parameter(2 * hidden_size) if bias else None

    def project(self, x):
        return F.linear(x, self.weight_ih, self.bias)

    def step(self, projected_t, state):
        c, g = (projected_t + F.linear(state.h, self.weight_hh)).chunk(2, dim=-1)
        h = torch.lerp(torch.tanh(c), state.h, torch.sigmoid(self.sharpness * g))
        return h, CellState(h)


# A backbone with options, a rule between fields, and a state of its own


class LeakyOptions(Options):
    """The options of `golden_leaky`.

    Attributes:
        leaks: how much is kept at each step; as many as divide the hidden size.
    """

    leaks: tuple[float, ...] = (0.5,)


class LeakyState(NamedTuple):
    h: Tensor


class LeakyBackbone(Backbone):
    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)
        self.read = nn.Linear(spec.input_size, spec.hidden_size, bias=spec.bias, device=device, dtype=dtype)
        self.leaks = spec.options.leaks

    def state_shapes(self, batch_size):
        return LeakyState(torch.Size((batch_size, self.features)))

    def run(self, x, state, lengths):
        if not self.batch_first:
            x = x.transpose(0, 1)
        (h,) = self.initial_state(len(x)) if state is None else state
        leak = h.new_tensor(self.leaks).repeat_interleave(self.features // len(self.leaks))
        outputs = []
        for t, x_t in enumerate(self.read(x).unbind(1)):
            kept = h if lengths is None else torch.where((t < lengths).unsqueeze(-1), leak * h + x_t, h)
            h = leak * h + x_t if lengths is None else kept
            outputs.append(h)
        output = torch.stack(outputs, dim=1)
        return output if self.batch_first else output.transpose(0, 1), LeakyState(h)


def check_leaky(spec):
    if spec.num_layers != 1 or spec.bidirectional:
        yield Problem("num_layers", "golden_leaky has one layer in one direction")
    if spec.hidden_size % len(spec.options.leaks):
        yield Problem("options.leaks", f"There are {len(spec.options.leaks)}, which do not divide {spec.hidden_size}")


PAPER = Paper(title="A Golden Plugin", authors="Nobody", year=2026, link="https://example.org")


@hookimpl
def register_kinds(register):
    register(
        cell_kind(
            GatedCell,
            name="golden_cell",
            options=GatedOptions,
            summary="A gate decides what to keep.",
            equation=r"""
                c_t &= \tanh(W_c x_t + U_c h_{t-1} + b_c) \\
                g_t &= \sigma(s (W_g x_t + U_g h_{t-1} + b_g)) \\
                h_t &= g_t \odot h_{t-1} + (1 - g_t) \odot c_t
            """,
            papers=[PAPER],
        )
    )
    register(
        Kind(
            name="golden_leaky",
            builder=LeakyBackbone,
            options=LeakyOptions,
            summary="Keeps a part of what it had.",
            check=check_leaky,
            papers=(PAPER,),
            deprecated=Deprecation(since="0.1.0", instead="golden_cell"),
        )
    )
    register(KindAlias(name="golden_gru", kind="golden_cell", since="0.1.0", removal="1.0"))


@hookimpl
def after_build(spec, model):
    if spec.kind == "rnnkit-golden/golden_cell" and spec.output_size is not None:
        nn.init.zeros_(model.readout.linear.bias)
