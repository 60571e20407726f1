"""`rhn` computes the equations of Zilly et al., 2017 (arXiv 1607.03474)."""

import pytest
import torch

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """Equations 6 to 9 of the paper with c = 1 - t, and one matrix for each gate of each layer."""
    w_h, w_t = cell.weight_ih.split(HIDDEN_SIZE)
    r = cell.weight_hh.split(HIDDEN_SIZE)
    b = [0] * len(r) if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    [s] = state
    for layer in range(len(r) // 2):
        of_h, of_t = s @ r[2 * layer].T + b[2 * layer], s @ r[2 * layer + 1].T + b[2 * layer + 1]
        if layer == 0:
            of_h, of_t = of_h + x @ w_h.T, of_t + x @ w_t.T
        s = torch.tanh(of_h) * torch.sigmoid(of_t) + s * (1 - torch.sigmoid(of_t))
    return s, (s,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_rhn_equals_the_formula_of_its_paper(depth, bias):
    assert_equals_formula("rhn", formula, bias=bias, options={"depth": depth})


def test_the_transform_gates_start_shut_and_everything_else_as_in_torch():
    cell = cell_of("rhn", input_size=50, hidden_size=400, options={"depth": 2})
    of_values, of_gates = cell.bias.view(2, 2, 400).unbind(1)
    assert (of_gates == -2).all()
    for parameter in (cell.weight_ih, cell.weight_hh, of_values):
        assert_uniform(parameter, -0.05, 0.05)


def test_the_forget_bias_is_the_negated_bias_of_each_transform_gate():
    of_values, of_gates = cell_of("rhn", options={"forget_bias": 4.0}).bias.view(3, 2, HIDDEN_SIZE).unbind(1)
    assert (of_gates == -4).all()
    assert of_values.abs().max() <= HIDDEN_SIZE**-0.5


def test_orthogonal_initialization_acts_on_each_gate_of_each_layer():
    blocks = cell_of("rhn", options={"recurrent_init": "orthogonal"}).weight_hh.split(HIDDEN_SIZE)
    assert len(blocks) == 6
    for block in blocks:
        torch.testing.assert_close(block @ block.T, torch.eye(HIDDEN_SIZE, dtype=torch.float64))
