"""`peephole_lstm` computes the equations of Graves, 2013 (arXiv 1308.0850), and CIFG of Greff et al. (1503.04069)."""

import pytest
import torch

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """Equations 7 to 11 of Graves, with one matrix for each gate."""
    h, c = state
    w, u = list(cell.weight_ih.split(HIDDEN_SIZE)), list(cell.weight_hh.split(HIDDEN_SIZE))
    b = [0] * len(w) if cell.bias is None else list(cell.bias.split(HIDDEN_SIZE))
    p = list(cell.peepholes.split(HIDDEN_SIZE))
    (w_f, w_c, w_o), (u_f, u_c, u_o), (b_f, b_c, b_o), (p_f, p_o) = w[-3:], u[-3:], b[-3:], p[-2:]
    f = torch.sigmoid(x @ w_f.T + h @ u_f.T + p_f * c + b_f)
    i = torch.sigmoid(x @ w[0].T + h @ u[0].T + p[0] * c + b[0]) if len(w) == 4 else 1 - f
    c = f * c + i * torch.tanh(x @ w_c.T + h @ u_c.T + b_c)
    o = torch.sigmoid(x @ w_o.T + h @ u_o.T + p_o * c + b_o)
    h = o * (torch.tanh(c) if cell.output_activation else c)
    return h, (h, c)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize("output_activation", [True, False])
def test_peephole_lstm_equals_the_formula_of_its_papers(output_activation, coupled, bias):
    options = {"coupled": coupled, "output_activation": output_activation}
    assert_equals_formula("peephole_lstm", formula, bias=bias, options=options)


@pytest.mark.parametrize(("coupled", "gates"), [(True, 3), (False, 4)])
def test_coupled_gates_have_fewer_weights(coupled, gates):
    cell = cell_of("peephole_lstm", options={"coupled": coupled})
    assert cell.weight_ih.shape[0] == cell.weight_hh.shape[0] == cell.bias.shape[0] == gates * HIDDEN_SIZE
    assert cell.peepholes.shape[0] == (gates - 1) * HIDDEN_SIZE


@pytest.mark.parametrize(("coupled", "index"), [(True, 0), (False, 1)])
def test_the_forget_bias_is_the_bias_of_the_forget_gate(coupled, index):
    bias = cell_of("peephole_lstm", options={"coupled": coupled, "forget_bias": 2.0}).bias.split(HIDDEN_SIZE)
    assert [bool((each == 2).all()) for each in bias] == [place == index for place in range(len(bias))]


def test_parameters_start_as_in_torch():
    cell = cell_of("peephole_lstm", input_size=50, hidden_size=400)
    for parameter in cell.parameters():
        assert_uniform(parameter, -0.05, 0.05)
