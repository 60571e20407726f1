"""An option that adds a part to the state chooses another class of cells: `Cell.class_for`."""

from typing import NamedTuple

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from rnnkit import (
    Cell,
    CellState,
    PerLayer,
    PluginError,
    RecurrentSpec,
    StackOptions,
    build_model,
    cell_kind,
    register_kind,
)
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_builtin.linear.selective_ssm import ConvolvedSelectiveSSMCell, SelectiveSSMCell
from tests.helpers.planted import assert_fails, assert_passes


class LagOptions(StackOptions):
    lag: PerLayer[bool] = False
    """Whether a step reads the state before the last."""


class PlainCell(Cell):
    def __init__(self, input_size, hidden_size, *, lag=False, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)

    @classmethod
    def class_for(cls, options):
        return LaggedCell if options["lag"] else cls

    def step(self, x_t, state):
        h = torch.tanh(F.linear(x_t, self.weight_ih) + F.linear(state.h, self.weight_hh))
        return h, CellState(h)

    def symbols(self):
        return {"W": self.weight_ih, "U": self.weight_hh}


class LaggedState(NamedTuple):
    h: Tensor
    p: Tensor


class LaggedCell(PlainCell):
    State = LaggedState
    equation = r"h_t &= \tanh(W x_t + U p_{t-1}) \\ p_t &= h_{t-1}"

    def step(self, x_t, state):
        h, _ = PlainCell.step(self, x_t, CellState(state.p))
        return h, LaggedState(h, state.h)


def record_of(cell):
    equation = r"h_t = \tanh(W x_t + U h_{t-1})"
    return cell_kind(cell, name="lag", summary="Made for a test.", equation=equation, options=LagOptions)


def spec_of(kind, **fields):
    return RecurrentSpec(kind=kind, **{"input_size": 3, "hidden_size": 4, "num_layers": 2, **fields})


@pytest.fixture
def lagging():
    with register_kind(record_of(PlainCell)) as kind:
        yield kind.name


def test_each_layer_has_the_class_of_its_options(lagging):
    model = build_model(spec_of(lagging, options={"lag": (True, False)}), dtype=torch.float64)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    y, (lagged, plain) = model.backbone(x)
    assert [type(cell) for cell in model.backbone.cells] == [LaggedCell, PlainCell]
    below, above = model.backbone.cells
    states, h = [x.new_zeros(2, 4), x.new_zeros(2, 4)], x.new_zeros(2, 4)
    for x_t in x.unbind(1):
        states.append(torch.tanh(x_t @ below.weight_ih.T + states[-2] @ below.weight_hh.T))
        h = torch.tanh(states[-1] @ above.weight_ih.T + h @ above.weight_hh.T)
    torch.testing.assert_close((y[:, -1], plain.h, lagged.h, lagged.p), (h, h, states[-1], states[-2]))


def test_rules_of_a_spec_are_those_of_the_class(lagging):
    options = {"lag": True, "zoneout": (0.1, 0.2)}
    assert spec_of(lagging, options=options).options.zoneout == (0.1, 0.2)
    with pytest.raises(ValidationError, match="The state of PlainCell has 1 part, h"):
        spec_of(lagging, options={**options, "lag": False})


@pytest.mark.parametrize("lag", [True, False])
def test_a_layer_of_mixed_has_the_class_of_its_options(lagging, lag):
    cells = [{"kind": lagging, "options": {"lag": lag}}, {"kind": "selective_ssm", "options": {"conv": 3}}, "gru_cell"]
    model = build_model(spec_of("mixed", num_layers=4, options={"cells": [*cells, "selective_ssm"]}))
    expected = [LaggedCell if lag else PlainCell, ConvolvedSelectiveSSMCell, GRUCell, SelectiveSSMCell]
    assert [type(cell) for cell in model.backbone.cells] == expected


class Inherits(PlainCell):
    pass


class ReturnsLacks(PlainCell):
    @classmethod
    def class_for(cls, options):
        return _LacksOption if options["lag"] else cls


class _LacksOption(ReturnsLacks):
    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)


FAULTS = {
    Inherits: "Inherits.class_for returned LaggedCell, which is not a subclass of Inherits: override class_for",
    ReturnsLacks: "_LacksOption must take lag, which LagOptions defines",
}


@pytest.mark.parametrize(("cell", "words"), FAULTS.items())
def test_faults_are_found_when_a_spec_is_created(cell, words):
    with register_kind(record_of(cell)) as kind:
        build_model(spec_of(kind.name))
        with pytest.raises(PluginError, match=words):
            spec_of(kind.name, options={"lag": (False, True)})


class WrongEquation(PlainCell):
    @classmethod
    def class_for(cls, options):
        return WrongLagged if options["lag"] else cls


class WrongLagged(WrongEquation):
    State = LaggedState
    equation = r"h_t &= \tanh(W x_t + U h_{t-1}) \\ p_t &= h_{t-1}"

    step = LaggedCell.step


class NoEquation(PlainCell):
    @classmethod
    def class_for(cls, options):
        return NoEquationLagged if options["lag"] else cls


class NoEquationLagged(NoEquation):
    State = LaggedState

    step = LaggedCell.step


def test_the_kit_compares_the_equation_of_each_class():
    assert_passes(record_of(PlainCell), ["step_matches_equation"], not_applicable=set())
    assert_fails("step_matches_equation", "compared with the equation", record_of(WrongEquation))
    assert_fails("step_matches_equation", "does not define p_t, for the field p", record_of(NoEquation))
