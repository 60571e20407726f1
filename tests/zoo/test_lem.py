"""`lem` computes the equations of Rusch et al., 2022 (arXiv 2110.04744)."""

import pytest
import torch

from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The discrete steps of the paper, whose y is h: one pair of matrices for each of its four lines."""
    y, z = state
    v_1, v_2, v_z, v_y = cell.weight_ih.split(HIDDEN_SIZE)
    w_1, w_2, w_z = cell.weight_hh.split(HIDDEN_SIZE)
    b_1, b_2, b_z, b_y = [0] * 4 if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    dt = cell.dt / (1 + torch.exp(-(y @ w_1.T + x @ v_1.T + b_1)))
    dt_bar = cell.dt / (1 + torch.exp(-(y @ w_2.T + x @ v_2.T + b_2)))
    z = z + dt * (torch.tanh(y @ w_z.T + x @ v_z.T + b_z) - z)
    y = y + dt_bar * (torch.tanh(z @ cell.weight_zh.T + x @ v_y.T + b_y) - y)
    return y, (y, z)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dt", [1.0, 0.3])
def test_lem_equals_the_formula_of_its_paper(dt, bias):
    assert_equals_formula("lem", formula, bias=bias, options={"dt": dt})


def test_a_small_step_size_makes_small_steps():
    cell = cell_of("lem", options={"dt": 1e-3})
    state = cell.initial_state(2, dtype=torch.float64)
    h, _ = cell(torch.randn(2, 4, dtype=torch.float64) * 100, state)
    assert 0 < h.abs().max() <= 1e-3


def test_parameters_start_as_in_the_authors_code():
    cell = cell_of("lem", input_size=50, hidden_size=400)
    for parameter in cell.parameters():  # uniform in +-1 / 20
        assert parameter.abs().max() <= 0.05
        assert abs(parameter.mean()) < 0.05 / 3**0.5 / parameter.numel() ** 0.5 * 4
        assert abs(parameter.std() * 20 * 3**0.5 - 1) < 0.1
