"""`minlstm` computes the equations of Feng et al., 2024 (arXiv 2410.01201)."""

import pytest
import torch

from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The minLSTM of the paper, with one matrix for each gate; a positive candidate is that of appendix B."""
    matrices = cell.weight_ih.split(HIDDEN_SIZE)
    biases = (0, 0, 0) if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    f, i, candidate = (x @ matrix.T + bias for matrix, bias in zip(matrices, biases, strict=True))
    f, i = torch.sigmoid(f), torch.sigmoid(i)
    if cell.positive:
        candidate = torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
    h = f / (f + i) * state[0] + i / (f + i) * candidate
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("positive", [True, False])
def test_minlstm_equals_the_formula_of_its_paper(positive, bias):
    assert_equals_formula("minlstm", formula, bias=bias, options={"positive": positive})


def test_gates_that_underflow_share_the_state_without_nan():
    cell = cell_of("minlstm").float()
    with torch.no_grad():
        cell.weight_ih.zero_()
        cell.bias[: 2 * HIDDEN_SIZE] = -120
    x, state = torch.zeros(1, 4), cell.State(torch.ones(1, HIDDEN_SIZE))
    candidate = torch.where(cell.bias >= 0, cell.bias + 0.5, torch.sigmoid(cell.bias))[-HIDDEN_SIZE:]
    torch.testing.assert_close(cell(x, state)[0], 0.5 + 0.5 * candidate[None])


def test_the_forget_bias_is_that_of_the_share_of_the_forget_gate():
    cell = cell_of("minlstm", options={"forget_bias": 3.0})
    state = torch.ones(1, HIDDEN_SIZE, dtype=torch.float64, requires_grad=True)
    _, after = cell(torch.zeros(1, 4, dtype=torch.float64), cell.State(state))
    [kept] = torch.autograd.grad(after.h.sum(), state)
    torch.testing.assert_close(kept, torch.sigmoid(torch.full_like(kept, 3)))


def test_parameters_start_as_in_torch():
    cell = cell_of("minlstm", input_size=50, hidden_size=400)
    for parameter in cell.parameters():  # uniform in +-1 / 20
        assert parameter.abs().max() <= 0.05
        assert abs(parameter.mean()) < 0.05 / 3**0.5 / parameter.numel() ** 0.5 * 4
        assert abs(parameter.std() * 20 * 3**0.5 - 1) < 0.1
