"""`fastrnn` computes the equations of Kusupati et al., 2018 (arXiv 1901.02358)."""

import pytest
import torch

from tests.helpers.starts import assert_normal
from tests.helpers.zoo import assert_equals_formula, backbone_of, cell_of


def formula(cell, x, state):
    """The FastRNN of the paper; a matrix of low rank is multiplied out."""
    [h] = state
    w = cell.weight_ih if cell.weight_ih_right is None else cell.weight_ih @ cell.weight_ih_right
    u = cell.weight_hh if cell.weight_hh_right is None else cell.weight_hh @ cell.weight_hh_right
    h_tilde = torch.tanh(x @ w.T + h @ u.T + (0 if cell.bias is None else cell.bias))
    h = torch.sigmoid(cell.alpha) * h_tilde + torch.sigmoid(cell.beta) * h
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("ranks", [(None, None), (2, None), (None, 3), (1, 2)])
def test_fastrnn_equals_the_formula_of_its_paper(ranks, bias):
    options = dict(zip(["input_rank", "recurrent_rank"], ranks, strict=True))
    assert_equals_formula("fastrnn", formula, bias=bias, options=options)


def test_parameters_start_as_in_the_code_of_the_authors():
    cell = cell_of("fastrnn", input_size=50, hidden_size=400)
    assert_normal(cell.weight_ih, 0, 0.1)
    assert_normal(cell.weight_hh, 0, 0.1)
    assert (cell.bias == 1).all()
    assert (cell.alpha.item(), cell.beta.item()) == (-3, 3)


def test_most_of_the_state_stays_at_the_start():
    backbone = backbone_of("fastrnn")
    with torch.no_grad():
        backbone.cells[0].weight_hh.zero_()
        backbone.cells[0].bias.zero_()
    start = torch.rand(3, 6, dtype=torch.float64)
    _, (final,) = backbone(torch.zeros(3, 10, 4, dtype=torch.float64), (backbone.cells[0].State(start),))
    torch.testing.assert_close(final.h, start * 0.95257412682243336**10)
