"""A gated cell is defined by the names of its gates and its step: parameters, symbols and forget bias follow."""

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from rnnkit import CellState, GatedCell, RecurrentSpec, build_model, cell_kind, register_kind
from rnnkit.plan import Plan, plan_for
from rnnkit.testing import check_kind


class UpdateGateCell(GatedCell):
    gates = "ng"
    forget_gate = "g"

    def step(self, projected_t, state):
        n, g = self.pre_activations(projected_t, state.h)
        h = torch.lerp(torch.tanh(n), state.h, torch.sigmoid(g))
        return h, CellState(h)


class ReplacingGateCell(UpdateGateCell):
    """Its gate replaces the state where it is open."""

    gates = ("n", r"\zeta")
    forget_gate = r"-\zeta"

    def step(self, projected_t, state):
        n, zeta = self.pre_activations(projected_t, state.h)
        h = torch.lerp(state.h, torch.tanh(n), torch.sigmoid(zeta))
        return h, CellState(h)


class ElmanCell(GatedCell):
    gates = "n"

    def step(self, projected_t, state):
        [n] = self.pre_activations(projected_t, state.h)
        h = torch.tanh(n)
        return h, CellState(h)


EQUATION = r"""
    n_t &= \tanh(W_{in} x_t + W_{hn} h_{t-1} + b_n) \\
    h_t &= \sigma(W_{i\zeta} x_t + W_{h\zeta} h_{t-1} + b_\zeta) \odot (n_t - h_{t-1}) + h_{t-1}
"""


def kind_of(cell, equation=""):
    return cell_kind(cell, name="gated", summary="Gated.", equation=equation)


def cell_of(cell, **fields):
    with register_kind(kind_of(cell)):
        spec = RecurrentSpec(kind="gated", input_size=3, hidden_size=4, **fields)
        return build_model(spec, dtype=torch.float64).backbone.cells[0]


def test_the_symbols_are_those_of_the_equation():
    with register_kind(kind_of(ReplacingGateCell, EQUATION)):
        [result] = check_kind("gated", only=["step_matches_equation"]).results
    assert result.outcome == "passed", result.reason


@pytest.mark.parametrize(("cell", "expected"), [(UpdateGateCell, 2.5), (ReplacingGateCell, -2.5)])
def test_the_forget_bias_is_negated_for_a_gate_that_replaces_the_state(cell, expected):
    of_candidate, of_gate = cell_of(cell, options={"forget_bias": 2.5}).bias.chunk(2)
    assert (of_gate == expected).all()
    assert of_candidate.abs().max() <= 0.5


def test_a_cell_without_a_forget_gate_has_no_forget_bias():
    with pytest.raises(ValidationError, match="ElmanCell has no forget gate"):
        cell_of(ElmanCell, options={"forget_bias": 1.0})


class OwnForgetBiasCell(ElmanCell):
    """Without the name of a gate, but with a bias of its own that `forget_bias` and `chrono` set."""

    def set_forget_bias(self, value):
        self.bias.fill_(2 * value)

    def set_chrono_bias(self, value):
        self.bias.copy_(3 * value)


class InheritingCell(OwnForgetBiasCell):
    pass


class NamesGateCell(ElmanCell):
    """A base class without the gate does not take the methods away."""

    gates = "ng"
    forget_gate = "g"
    input_gate = ""

    step = UpdateGateCell.step


@pytest.mark.parametrize("cell", [OwnForgetBiasCell, InheritingCell])
def test_a_method_of_the_subclass_stays(cell):
    assert (cell_of(cell, options={"forget_bias": 1.5}).bias == 3).all()
    bias = cell_of(cell, options={"forget_bias": "chrono", "chrono_length": 50}).bias
    assert (bias >= 0).all()
    assert bias.max() > 3  # three times a logarithm


def test_a_subclass_names_the_gate_that_its_base_class_does_not_have():
    assert (cell_of(NamesGateCell, options={"forget_bias": 1.5}).bias.chunk(2)[1] == 1.5).all()
    assert (cell_of(NamesGateCell, options={"forget_bias": "chrono", "chrono_length": 50}).bias.chunk(2)[1] >= 0).all()
    with pytest.raises(ValidationError, match="has no chrono initialization"):
        cell_of(UpdateGateCell, options={"forget_bias": "chrono", "chrono_length": 50})


def test_layer_norm_normalizes_the_two_products_before_the_bias():
    cell = cell_of(UpdateGateCell, options={"layer_norm": "gates"})
    x, h = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    with torch.no_grad():
        cell.norm_ih.weight.uniform_()
        cell.norm_hh.weight.uniform_()
    products = [
        F.layer_norm(F.linear(value, weight), (8,), norm.weight)
        for value, weight, norm in [(x, cell.weight_ih, cell.norm_ih), (h, cell.weight_hh, cell.norm_hh)]
    ]
    actual = torch.cat(cell.pre_activations(cell.project(x), h), -1)
    torch.testing.assert_close(actual, sum(products) + cell.bias)


@pytest.mark.parametrize("layer_norm", ["none", "gates"])
@pytest.mark.parametrize("bias", [True, False])
def test_an_executor_can_run_it(layer_norm, bias):
    assert isinstance(plan_for(cell_of(UpdateGateCell, bias=bias, options={"layer_norm": layer_norm})), Plan)
