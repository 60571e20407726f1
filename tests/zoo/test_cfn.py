"""`cfn` computes the equations of Laurent and von Brecht, 2017 (arXiv 1612.06212)."""

import pytest
import torch

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, backbone_of, cell_of


def formula(cell, x, state):
    """Equations 1 and 2 of the paper, with one matrix for each gate."""
    [h] = state
    (v_theta, v_eta), (u_theta, u_eta) = cell.weight_ih.split(HIDDEN_SIZE), cell.weight_hh.split(HIDDEN_SIZE)
    b_theta, b_eta = (0, 0) if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    theta = torch.sigmoid(h @ u_theta.T + x @ v_theta.T + b_theta)
    eta = torch.sigmoid(h @ u_eta.T + x @ v_eta.T + b_eta)
    h = theta * torch.tanh(h) + eta * torch.tanh(x @ cell.weight_in.T)
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
def test_cfn_equals_the_formula_of_its_paper(bias):
    assert_equals_formula("cfn", formula, bias=bias)


def test_without_input_the_state_decays_to_zero():
    """Section 2 of the paper: zero is the only attractor, whatever the recurrent weights."""
    backbone = backbone_of("cfn")
    with torch.no_grad():
        backbone.cells[0].weight_hh.mul_(20)
    start = torch.randn(50, HIDDEN_SIZE, dtype=torch.float64)
    output, _ = backbone(torch.zeros(50, 200, 4, dtype=torch.float64), (backbone.cells[0].State(start),))
    sizes = output.abs().amax((0, 2))
    assert (sizes.diff() <= 0).all()
    assert sizes[-1] < 0.3


def test_the_biases_start_as_the_paper_prescribes_and_the_weights_as_in_torch():
    cell = cell_of("cfn", input_size=50, hidden_size=400)
    b_theta, b_eta = cell.bias.chunk(2)
    assert (b_theta == 1).all()
    assert (b_eta == -1).all()
    for weight in (cell.weight_ih, cell.weight_hh, cell.weight_in):
        assert_uniform(weight, -0.05, 0.05)


def test_the_forget_bias_is_the_bias_of_the_forget_gate():
    b_theta, b_eta = cell_of("cfn", options={"forget_bias": 3.0}).bias.chunk(2)
    assert (b_theta == 3).all()
    assert (b_eta == -1).all()
