"""The checks that options do what they say. Each fault fails one, and healthy cells pass."""

from dataclasses import replace
from typing import Annotated, NamedTuple

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import CellStack, CellState, StackOptions, orthogonal_
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_builtin.lstm import LSTMBackbone, LSTMOptions
from rnnkit_builtin.lstm_cell import LSTMCell
from tests.helpers.cells import SimpleCell
from tests.helpers.healthy import Reservoir
from tests.helpers.planted import Faults, assert_fails, assert_passes, record_of

faults = Faults()
BIAS = "bias_false_removes_every_bias"
FORGET = "forget_bias_opens_forget_gate"
ORTHOGONAL = "orthogonal_init_acts_on_recurrence"
NUMBERS = "numbers_of_options_differ"
PARTS = "dropout_parts_are_only_multiplied"


@faults.planted(BIAS, "bias_hh is left")
class KeepsABias(SimpleCell):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.bias_hh = self.new_parameter(self.hidden_size)

    def recurrence(self, h):
        return F.linear(h, self.weight_hh, self.bias_hh)


@faults.planted(BIAS, "offset is left, which is added to the same sum")
class KeepsAnOffset(SimpleCell):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.offset = self.new_parameter(self.hidden_size)

    def recurrence(self, h):
        return F.linear(h, self.weight_hh, self.offset)


@faults.planted(BIAS, "rnn.bias_hh_l0, rnn.bias_ih_l0 is left", options=LSTMOptions)
class KeepsTheBiasOfTheModule(LSTMBackbone):
    def __init__(self, spec, **where):
        super().__init__(replace(spec, bias=True), **where)


@faults.planted(BIAS, "with bias=False, compared with biases of zero")
class HalvesItsProjectionWithoutBias(SimpleCell):
    def project(self, x):
        return super().project(x) / (2 if self.bias is None else 1)


def filled(cell, start, value, times=1.0):
    with torch.no_grad():
        size = cell.hidden_size
        cell.bias_ih[start * size : (start + 1) * size].fill_(value * times)
        cell.bias_hh[start * size : (start + 1) * size].zero_()


@faults.planted(FORGET, "no part of the state is erased")
class FillsTheInputGate(LSTMCell):
    def set_forget_bias(self, value):
        filled(self, 0, value)


@faults.planted(FORGET, "no part of the state is erased")
class FillsWithTheOtherSign(LSTMCell):
    def set_forget_bias(self, value):
        filled(self, 1, -value)


@faults.planted(FORGET, "the sigmoid of the forget gate reads 2")
class FillsBothBiases(LSTMCell):
    def set_forget_bias(self, value):
        filled(self, 1, value, times=2)


@faults.planted(FORGET, "with forget_bias='chrono' and chrono_length=1000, a step without input keeps 0.0")
class ChronoWithTheOtherSign(LSTMCell):
    def set_chrono_bias(self, value):
        super().set_chrono_bias(-value)


@faults.planted(ORTHOGONAL, "weight_hh multiplies the state, but is not orthogonal")
class InitializesTheInput(GRUCell):
    def recurrent_weights(self):
        return [self.weight_ih]


@faults.planted(ORTHOGONAL, "cells.0.weight_ih is orthogonal, but does not multiply the state")
class InitializesTheInputToo(GRUCell):
    def recurrent_weights(self):
        return [self.weight_ih, self.weight_hh]


@faults.planted(ORTHOGONAL, "cells.0.again multiplies the state, but is not orthogonal")
class LeavesOneOut(SimpleCell):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.again = self.new_parameter(self.hidden_size, self.hidden_size)

    def recurrence(self, h):
        return super().recurrence(h) + F.linear(h, self.again)


@faults.planted(ORTHOGONAL, "not orthogonal")
class IsOrthogonalAsAWhole(GRUCell):
    def init_orthogonal(self):
        orthogonal_(self.weight_hh, 3 * self.hidden_size)


class LeakOptions(StackOptions):
    leak: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Fraction of the state that a step replaces."""


class Leaky(SimpleCell):
    def __init__(self, *sizes, leak=0.5, **where):
        super().__init__(*sizes, **where)
        self.leak = leak

    def step(self, projected_t, state):
        h, _ = super().step(projected_t, state)
        h = torch.lerp(state.h, h, self.leak)
        return h, CellState(h)


@faults.planted(NUMBERS, "give the same results", options=LeakOptions)
class TakesTheSmallerPart(Leaky):
    def __init__(self, *sizes, leak=0.5, **where):
        super().__init__(*sizes, leak=min(leak, 1 - leak) if leak < 1 else 1, **where)


@faults.planted(NUMBERS, "the same results with", options=LeakOptions)
class TakesAFlag(Leaky):
    def __init__(self, *sizes, leak=0.5, **where):
        super().__init__(*sizes, leak=0.5 if leak == 0.5 else 0.3, **where)


@faults.planted(NUMBERS, "the same results", options=LeakOptions)
class LimitsItsLeak(Leaky):
    def __init__(self, *sizes, leak=0.5, **where):
        super().__init__(*sizes, leak=min(leak, 0.6), **where)


@faults.planted(NUMBERS, "options.leak=0.02 and leak=0.1 give the same results", options=LeakOptions)
class LimitsItsLeakFromBelow(Leaky):
    def __init__(self, *sizes, leak=0.5, **where):
        super().__init__(*sizes, leak=max(leak, 0.15), **where)


@faults.planted(NUMBERS, "dropout=0.7 and dropout=0.8 give the same results")
def limits_dropout(spec, **where):
    return CellStack(replace(spec, dropout=min(spec.dropout, 0.65)), [SimpleCell] * spec.num_layers, **where)


class OptionalOptions(StackOptions):
    leak: Annotated[float, Field(gt=0, le=1)] | None = None
    """Fraction of the state that a step replaces; None: half."""


@faults.planted(NUMBERS, "the same results", options=OptionalOptions)
class LimitsAnOptionalLeak(Leaky):
    def __init__(self, *sizes, leak=None, **where):
        super().__init__(*sizes, leak=0.5 if leak is None else min(leak, 0.7), **where)


class BeyondOptions(StackOptions):
    gain: Annotated[float, Field(ge=0)] = 0.0
    """Gain of the state."""


@faults.planted(NUMBERS, "options.gain gives the same results with", options=BeyondOptions)
class TakesAFlagAboveItsDefault(Leaky):
    def __init__(self, *sizes, gain=0.0, **where):
        super().__init__(*sizes, leak=0.3 if gain else 0.5, **where)


@faults.planted(PARTS, "reads the part h of its state")
class CarriesItsStateOver(GRUCell):
    recurrent_dropout_parts = ("h",)


@faults.planted(PARTS, "reads the part c of its state")
class DeclaresItsCellState(LSTMCell):
    recurrent_dropout_parts = ("h", "c")


@pytest.mark.parametrize(("check", "words", "record"), faults.parameters)
def test_a_fault_fails_its_check(check, words, record):
    assert_fails(check, words, record)


# Correct kinds


class Gain(SimpleCell):
    """Its vectors are not biases."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.gain = self.new_parameter(self.hidden_size)
        self.norm = nn.LayerNorm(self.hidden_size, **self._new)

    def activation(self, x):
        return torch.sigmoid(x) * self.gain + self.norm(x).tanh()


class ForgetGate(SimpleCell):
    """Keeps its state by a gate with two biases: the chaos-free network (arXiv 1612.06212)."""

    recurrent_dropout_parts = ()

    def __init__(self, input_size, hidden_size, *, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias=bias, device=device, dtype=dtype)
        self.weight_gates = self.new_parameter(2 * hidden_size, input_size)
        self.weight_hg = self.new_parameter(2 * hidden_size, hidden_size)
        self.bias_gates = self.new_parameter(2 * hidden_size) if bias else None

    def project(self, x):
        return super().project(x), F.linear(x, self.weight_gates, self.bias_gates)

    def step(self, projected_t, state):
        x, gates = projected_t
        keep, add = torch.sigmoid(gates + F.linear(state.h, self.weight_hg)).chunk(2, -1)
        h = keep * torch.tanh(state.h) + add * torch.tanh(x)
        return h, CellState(h)

    def set_forget_bias(self, value):
        self.bias_gates[: self.hidden_size].fill_(value)


class ClipOptions(StackOptions):
    clip: Annotated[float, Field(gt=0)] = 2.0
    """Limit of the state."""


class Clipped(SimpleCell):
    """Large limits give equal results."""

    def __init__(self, *sizes, clip=2.0, **where):
        super().__init__(*sizes, **where)
        self.clip = clip

    def activation(self, x):
        return x.clamp(-self.clip, self.clip)


class LimitOptions(StackOptions):
    clip: Annotated[float, Field(gt=0, le=100)] = 50.0
    """Limit of the state."""


class Sparse(SimpleCell):
    """Keeps a fraction of the features, rounded to a whole number of them."""

    def __init__(self, *sizes, leak=0.5, **where):
        super().__init__(*sizes, **where)
        self.kept = round(leak * self.hidden_size)

    def activation(self, x):
        return torch.tanh(F.pad(x[..., : self.kept], (0, x.shape[-1] - self.kept)))


class Window(NamedTuple):
    h: Tensor
    steps: Tensor


class Multiplied(SimpleCell):
    """Reads its state by a matrix product only, and counts."""

    State = Window
    recurrent_dropout_parts = ("h",)

    def state_shapes(self, batch_size):
        return Window(torch.Size((batch_size, self.hidden_size)), torch.Size((batch_size, 1)))

    def step(self, projected_t, state):
        h, _ = super().step(projected_t, CellState(state.h))
        return h, Window(h, state.steps + 1)


class DroppedReservoir(Reservoir):
    recurrent_dropout_parts = ("h",)


CORRECT = [
    record_of(SimpleCell),
    record_of(Gain),
    record_of(ForgetGate),
    record_of(Clipped, options=ClipOptions),
    record_of(Leaky, options=LeakOptions),
    record_of(Clipped, options=LimitOptions),
    record_of(Sparse, options=LeakOptions),
    record_of(Multiplied),
    record_of(DroppedReservoir),
]


@pytest.mark.parametrize("record", CORRECT, ids=lambda record: record.cell.__name__)
def test_a_correct_cell_passes(record):
    assert_passes(record, faults.checks)
