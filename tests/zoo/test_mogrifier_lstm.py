"""`mogrifier_lstm` computes the equations of Melis et al., 2020 (arXiv 1909.01792)."""

import pytest
import torch

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The rounds of the paper, then an LSTM with one matrix for each gate."""
    h, c = state
    matrices = list(cell.weight_hx)
    if len(cell.weight_hx_right):
        matrices = [left @ right for left, right in zip(matrices, cell.weight_hx_right, strict=True)]
    for i, matrix in enumerate(matrices, start=1):
        if i % 2 == 1:
            x = 2 * torch.sigmoid(h @ matrix.T) * x
        else:
            h = 2 * torch.sigmoid(x @ matrix.T) * h
    (w_i, w_f, w_j, w_o), (u_i, u_f, u_j, u_o) = cell.weight_ih.split(HIDDEN_SIZE), cell.weight_hh.split(HIDDEN_SIZE)
    b_i, b_f, b_j, b_o = [0] * 4 if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    f = torch.sigmoid(x @ w_f.T + h @ u_f.T + b_f)
    i = torch.sigmoid(x @ w_i.T + h @ u_i.T + b_i)
    j = torch.tanh(x @ w_j.T + h @ u_j.T + b_j)
    o = torch.sigmoid(x @ w_o.T + h @ u_o.T + b_o)
    c = f * c + i * j
    h = o * torch.tanh(c)
    return h, (h, c)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("rounds", [1, 5, 6])
def test_mogrifier_lstm_equals_the_formula_of_its_paper(rounds, rank, bias):
    assert_equals_formula("mogrifier_lstm", formula, bias=bias, options={"rounds": rounds, "rank": rank})


def test_without_rounds_it_is_an_lstm():
    ours, lstm = cell_of("mogrifier_lstm", options={"rounds": 0}), torch.nn.LSTMCell(4, HIDDEN_SIZE).double()
    values = {**ours.state_dict(), "bias_ih": ours.bias, "bias_hh": torch.zeros_like(ours.bias)}
    lstm.load_state_dict({name: values[name] for name in lstm.state_dict()})
    x, h, c = (torch.randn(3, size, dtype=torch.float64) for size in (4, HIDDEN_SIZE, HIDDEN_SIZE))
    torch.testing.assert_close(tuple(ours(x, ours.State(h, c))[1]), lstm(x, (h, c)))


def test_each_round_has_its_own_matrix():
    full, low = cell_of("mogrifier_lstm"), cell_of("mogrifier_lstm", options={"rank": 2})
    assert [tuple(matrix.shape) for matrix in full.weight_hx] == [(4, 6), (6, 4), (4, 6), (6, 4), (4, 6)]
    assert [tuple(matrix.shape) for matrix in low.weight_hx] == [(4, 2), (6, 2), (4, 2), (6, 2), (4, 2)]
    assert [tuple(matrix.shape) for matrix in low.weight_hx_right] == [(2, 6), (2, 4), (2, 6), (2, 4), (2, 6)]


def test_the_forget_bias_is_the_bias_of_the_forget_gate():
    bias = cell_of("mogrifier_lstm", options={"forget_bias": 1.0}).bias.split(HIDDEN_SIZE)
    assert [bool((each == 1).all()) for each in bias] == [False, True, False, False]


def test_parameters_start_as_in_torch():
    cell = cell_of("mogrifier_lstm", input_size=50, hidden_size=400)
    assert len(list(cell.parameters())) == 8
    for parameter in cell.parameters():
        assert_uniform(parameter, -0.05, 0.05)
