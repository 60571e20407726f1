"""`janet` computes the equations of van der Westhuizen and Lasenby, 2018 (arXiv 1804.04849)."""

import pytest
import torch

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, h):
    """The JANET of the paper, with one matrix for each gate; c_t = h_t."""
    (w_f, w_c), (u_f, u_c) = cell.weight_ih.split(HIDDEN_SIZE), cell.weight_hh.split(HIDDEN_SIZE)
    b_f, b_c = (0, 0) if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    s = x @ w_f.T + h[0] @ u_f.T + b_f
    c_tilde = torch.tanh(x @ w_c.T + h[0] @ u_c.T + b_c)
    c = torch.sigmoid(s) * h[0] + (1 - torch.sigmoid(s - cell.beta)) * c_tilde
    return c, (c,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("beta", [1.0, 0.0, -2.5])
def test_janet_equals_the_formula_of_its_paper(beta, bias):
    assert_equals_formula("janet", formula, bias=bias, options={"beta": beta})


def test_the_constant_is_not_trained():
    assert set(dict(cell_of("janet").named_parameters())) == {"weight_ih", "weight_hh", "bias"}


def test_the_forget_gate_starts_open_and_the_weights_as_in_torch():
    cell = cell_of("janet", input_size=50, hidden_size=400)
    b_f, b_n = cell.bias.chunk(2)
    assert (b_f == 1).all()
    assert (b_n == 0).all()
    assert_uniform(cell.weight_ih, -0.05, 0.05)
    assert_uniform(cell.weight_hh, -0.05, 0.05)


def test_the_forget_bias_is_the_bias_of_the_forget_gate():
    b_f, b_n = cell_of("janet", options={"forget_bias": 3.0}).bias.chunk(2)
    assert (b_f == 3).all()
    assert (b_n == 0).all()
