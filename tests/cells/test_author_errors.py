"""Errors of authors of cells are found early, with the name of the cell and the fix."""

import pytest
import torch
from torch import nn

from rnnkit import Cell, CellState, RecurrentSpec, build_model, cell_kind, register_kind
from tests.helpers.cells import SimpleCell


def built(cell, **fields):
    with register_kind(cell_kind(cell, name="made", summary="Made for a test.")) as kind:
        return build_model(RecurrentSpec(kind=kind.name, input_size=3, hidden_size=4, **fields))


class ReturnsItsOutput(SimpleCell):
    def step(self, projected_t, state):
        return super().step(projected_t, state)[0]


class ReturnsATuple(SimpleCell):
    def step(self, projected_t, state):
        h, _ = super().step(projected_t, state)
        return h, (h,)


class ReturnsItsParts(SimpleCell):
    def step(self, projected_t, state):
        h, _ = super().step(projected_t, state)
        return h, h, h


class ReturnsNothing(SimpleCell):
    def step(self, projected_t, state):
        super().step(projected_t, state)


STEPS = {
    ReturnsItsOutput: r"but returned one tensor of shape \(2, 4\)",
    ReturnsATuple: "but returned a tuple of Tensor, tuple",
    ReturnsItsParts: "but returned a tuple of Tensor, Tensor, Tensor",
    ReturnsNothing: "but returned None",
}


@pytest.mark.parametrize("time", [1, 3])
@pytest.mark.parametrize(("cell", "words"), STEPS.items())
def test_a_step_that_does_not_return_output_and_state(cell, words, time):
    contract = rf"{cell.__name__}.step must return the output and the state, as in `return output, CellState\(h\)`"
    model = built(cell)
    with pytest.raises(TypeError, match=f"{contract}, {words}"):
        model(torch.zeros(2, time, 3))  # two sequences, which a single tensor could be unpacked into
    with pytest.raises(TypeError, match=contract):
        cell(3, 4)(torch.zeros(2, 3))


class ForgetsSuper(Cell):
    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        self.weight = self.new_parameter(hidden_size, input_size)

    def step(self, projected_t, state):
        return state.h, CellState(state.h)


class AssignsAParameter(ForgetsSuper):
    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        self.weight = nn.Parameter(torch.zeros(hidden_size))


class AssignsAModule(ForgetsSuper):
    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        self.input_size, self.hidden_size = input_size, hidden_size
        self.linear = nn.Linear(input_size, hidden_size)


class AssignsNumbers(ForgetsSuper):
    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        self.input_size = self.output_size = input_size
        self.hidden_size = hidden_size


@pytest.mark.parametrize("cell", [ForgetsSuper, AssignsAParameter, AssignsAModule, AssignsNumbers])
def test_a_constructor_that_does_not_call_super(cell):
    with pytest.raises(TypeError, match=rf"{cell.__name__}.__init__ must call super\(\).__init__\(input_size"):
        built(cell)


class WithoutDevice(SimpleCell):
    def __init__(self, input_size, hidden_size, *, dtype=None):
        super().__init__(input_size, hidden_size, dtype=dtype)


class WithoutDtype(SimpleCell):
    def __init__(self, input_size, hidden_size, *, device=None):
        super().__init__(input_size, hidden_size, device=device)


class WithoutASize(SimpleCell):
    def __init__(self, input_size, *, device=None, dtype=None):
        super().__init__(input_size, input_size, device=device, dtype=dtype)


@pytest.mark.parametrize("cell", [WithoutDevice, WithoutDtype, WithoutASize])
def test_a_constructor_without_its_arguments(cell):
    message = f"{cell.__name__}.__init__ must take the sizes, device and dtype"
    with pytest.raises(TypeError, match=message):
        cell_kind(cell, name="made", summary="Made for a test.")
