"""`ran` computes the equations of Lee et al., 2017 (arXiv 1705.07393)."""

import pytest
import torch

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, backbone_of, cell_of


def formula(cell, x, state):
    """The recurrence of the paper, with one matrix for each gate."""
    h, c = state
    (w_i, w_f), (u_i, u_f) = cell.weight_ih.split(HIDDEN_SIZE), cell.weight_hh.split(HIDDEN_SIZE)
    b_i, b_f = (0, 0) if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    i, f = torch.sigmoid(h @ u_i.T + x @ w_i.T + b_i), torch.sigmoid(h @ u_f.T + x @ w_f.T + b_f)
    c = i * (x @ cell.weight_in.T) + f * c
    h = torch.tanh(c) if cell.nonlinearity == "tanh" else c
    return h, (h, c)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("nonlinearity", ["tanh", "identity"])
def test_ran_equals_the_formula_of_its_paper(nonlinearity, bias):
    assert_equals_formula("ran", formula, bias=bias, options={"nonlinearity": nonlinearity})


def test_with_open_gates_the_cell_state_is_the_sum_of_the_new_values():
    backbone = backbone_of("ran")
    with torch.no_grad():
        backbone.cells[0].bias.fill_(50.0)
    x = torch.randn(3, 20, 4, dtype=torch.float64)
    _, (final,) = backbone(x)
    torch.testing.assert_close(final.c, x.sum(1) @ backbone.cells[0].weight_in.T)


def test_the_forget_bias_is_the_bias_of_the_forget_gate():
    b_i, b_f = cell_of("ran", options={"forget_bias": 1.0}).bias.chunk(2)
    assert (b_f == 1).all()
    assert b_i.abs().max() <= HIDDEN_SIZE**-0.5


def test_parameters_start_as_in_torch():
    cell = cell_of("ran", input_size=50, hidden_size=400)
    for parameter in cell.parameters():
        assert_uniform(parameter, -0.05, 0.05)
