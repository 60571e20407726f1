"""`mingru` computes the equations of Feng et al., 2024 (arXiv 2410.01201)."""

import pytest
import torch

from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The minGRU of the paper, with one matrix for each gate; a positive candidate is that of appendix B."""
    w_z, w_n = cell.weight_ih[:HIDDEN_SIZE], cell.weight_ih[HIDDEN_SIZE:]
    b_z, b_n = (0, 0) if cell.bias is None else (cell.bias[:HIDDEN_SIZE], cell.bias[HIDDEN_SIZE:])
    z, candidate = torch.sigmoid(x @ w_z.T + b_z), x @ w_n.T + b_n
    if cell.positive:
        candidate = torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
    h = (1 - z) * state[0] + z * candidate
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("positive", [True, False])
def test_mingru_equals_the_formula_of_its_paper(positive, bias):
    assert_equals_formula("mingru", formula, bias=bias, options={"positive": positive})


def test_states_stay_positive():
    cell = cell_of("mingru")
    output, _ = cell(torch.randn(1000, 4, dtype=torch.float64) * 5, None)
    assert output.min() > 0


def test_the_forget_bias_is_the_negated_bias_of_the_update_gate():
    b_z, b_n = cell_of("mingru", options={"forget_bias": 3.0}).bias.chunk(2)
    assert (b_z == -3).all()
    assert b_n.abs().max() <= HIDDEN_SIZE**-0.5


def test_parameters_start_as_in_torch():
    cell = cell_of("mingru", input_size=50, hidden_size=400)
    for parameter in cell.parameters():  # uniform in +-1 / 20
        assert parameter.abs().max() <= 0.05
        assert abs(parameter.mean()) < 0.05 / 3**0.5 / parameter.numel() ** 0.5 * 4
        assert abs(parameter.std() * 20 * 3**0.5 - 1) < 0.1
