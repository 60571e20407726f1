"""`minimalrnn` computes the equations of Chen, 2017 (arXiv 1711.06788)."""

import pytest
import torch

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The MinimalRNN of the paper."""
    [h] = state
    b_z, b_u = (0, 0) if cell.bias is None else (cell.bias_in, cell.bias)
    z = torch.tanh(x @ cell.weight_in.T + b_z)
    u = torch.sigmoid(h @ cell.weight_hh.T + z @ cell.weight_ih.T + b_u)
    h = u * h + (1 - u) * z
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
def test_minimalrnn_equals_the_formula_of_its_paper(bias):
    assert_equals_formula("minimalrnn", formula, bias=bias)


def test_the_forget_bias_is_the_bias_of_the_gate():
    cell = cell_of("minimalrnn", options={"forget_bias": 2.0})
    assert (cell.bias == 2).all()
    assert cell.bias_in.abs().max() <= HIDDEN_SIZE**-0.5


def test_parameters_start_as_in_torch():
    cell = cell_of("minimalrnn", input_size=50, hidden_size=400)
    assert len(list(cell.parameters())) == 5
    for parameter in cell.parameters():
        assert_uniform(parameter, -0.05, 0.05)
