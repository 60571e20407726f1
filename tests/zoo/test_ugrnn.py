"""`ugrnn` computes the equations of Collins et al., 2017 (arXiv 1611.09913)."""

import pytest
import torch

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """Equations 2 to 4 of the paper, with one matrix for each gate."""
    [h] = state
    (w_c, w_g), (u_c, u_g) = cell.weight_ih.split(HIDDEN_SIZE), cell.weight_hh.split(HIDDEN_SIZE)
    b_c, b_g = (0, 0) if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    c = torch.tanh(h @ u_c.T + x @ w_c.T + b_c)
    g = torch.sigmoid(h @ u_g.T + x @ w_g.T + b_g)
    h = g * h + (1 - g) * c
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
def test_ugrnn_equals_the_formula_of_its_paper(bias):
    assert_equals_formula("ugrnn", formula, bias=bias)


def test_the_forget_bias_is_the_bias_of_the_gate():
    b_c, b_g = cell_of("ugrnn", options={"forget_bias": 1.0}).bias.chunk(2)
    assert (b_g == 1).all()
    assert b_c.abs().max() <= HIDDEN_SIZE**-0.5


def test_parameters_start_as_in_torch():
    cell = cell_of("ugrnn", input_size=50, hidden_size=400)
    for parameter in cell.parameters():
        assert_uniform(parameter, -0.05, 0.05)
