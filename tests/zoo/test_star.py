"""`star` computes the equations of Turkoglu et al., 2021 (arXiv 1911.11033)."""

import pytest
import torch

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The STAR cell of the paper."""
    [h] = state
    b_z, b_k = (0, 0) if cell.bias is None else (cell.bias_in, cell.bias)
    z = torch.tanh(x @ cell.weight_in.T + b_z)
    k = torch.sigmoid(x @ cell.weight_ih.T + h @ cell.weight_hh.T + b_k)
    h = torch.tanh((1 - k) * h + k * z)
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
def test_star_equals_the_formula_of_its_paper(bias):
    assert_equals_formula("star", formula, bias=bias)


def test_the_forget_bias_is_the_negated_bias_of_the_gate():
    cell = cell_of("star", options={"forget_bias": 2.0})
    assert (cell.bias == -2).all()
    assert cell.bias_in.abs().max() <= HIDDEN_SIZE**-0.5


def test_parameters_start_as_in_torch():
    cell = cell_of("star", input_size=50, hidden_size=400)
    assert len(list(cell.parameters())) == 5
    for parameter in cell.parameters():
        assert_uniform(parameter, -0.05, 0.05)
