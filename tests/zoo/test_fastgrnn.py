"""`fastgrnn` computes the equations of Kusupati et al., 2018 (arXiv 1901.02358)."""

import pytest
import torch

from tests.helpers.starts import assert_normal
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The FastGRNN of the paper; a matrix of low rank is multiplied out."""
    [h] = state
    w = cell.weight_ih if cell.weight_ih_right is None else cell.weight_ih @ cell.weight_ih_right
    u = cell.weight_hh if cell.weight_hh_right is None else cell.weight_hh @ cell.weight_hh_right
    b_z, b_h = (0, 0) if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    z = torch.sigmoid(x @ w.T + h @ u.T + b_z)
    h_tilde = torch.tanh(x @ w.T + h @ u.T + b_h)
    h = (torch.sigmoid(cell.zeta) * (1 - z) + torch.sigmoid(cell.nu)) * h_tilde + z * h
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("ranks", [(None, None), (2, None), (None, 3), (1, 2)])
def test_fastgrnn_equals_the_formula_of_its_paper(ranks, bias):
    options = dict(zip(["input_rank", "recurrent_rank"], ranks, strict=True))
    assert_equals_formula("fastgrnn", formula, bias=bias, options=options)


@pytest.mark.parametrize("rank", [None, 20])
def test_parameters_start_as_in_the_code_of_the_authors(rank):
    options = {"input_rank": rank, "recurrent_rank": rank}
    cell = cell_of("fastgrnn", input_size=50, hidden_size=400, options=options)
    weights = [weight for name, weight in cell.named_parameters() if name.startswith("weight")]
    assert len(weights) == (2 if rank is None else 4)
    for weight in weights:
        assert_normal(weight, 0, 0.1)
    assert (cell.bias == 1).all()
    assert (cell.zeta.item(), cell.nu.item()) == (1, -4)


def test_the_forget_bias_is_the_bias_of_the_gate():
    b_z, b_n = cell_of("fastgrnn", options={"forget_bias": 3.0}).bias.chunk(2)
    assert (b_z == 3).all()
    assert (b_n == 1).all()
