"""`ligru` computes the equations of Ravanelli et al., 2018 (arXiv 1803.10225), with layer normalization."""

import pytest
import torch
from pydantic import ValidationError

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The Li-GRU of the paper, with one matrix for each gate and the features of one step as the batch."""
    [h] = state
    (w_n, w_z), (u_n, u_z) = cell.weight_ih.split(HIDDEN_SIZE), cell.weight_hh.split(HIDDEN_SIZE)
    b_n, b_z = (0, 0) if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    x_n, x_z = x @ w_n.T, x @ w_z.T
    if cell.gain is not None:
        a_n, a_z = cell.gain.split(HIDDEN_SIZE)
        x_n, x_z = a_n * normalized(x_n), a_z * normalized(x_z)
    z = torch.sigmoid(x_z + b_z + h @ u_z.T)
    n = x_n + b_n + h @ u_n.T
    n = n.clamp(min=0) if cell.nonlinearity == "relu" else torch.tanh(n)
    h = z * h + (1 - z) * n
    return h, (h,)


def normalized(x):
    return (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layer_norm", ["gates", "none"])
@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
def test_ligru_equals_the_formula_of_its_paper(nonlinearity, layer_norm, bias):
    options = {"nonlinearity": nonlinearity, "layer_norm": layer_norm}
    assert_equals_formula("ligru", formula, bias=bias, options=options)


def test_parameters_start_as_in_the_code_of_the_authors():
    cell = cell_of("ligru", input_size=50, hidden_size=400)
    assert (cell.bias == 0).all()
    assert (cell.gain == 1).all()
    assert_uniform(cell.weight_ih, -0.05, 0.05)
    for weight in cell.weight_hh.chunk(2):
        torch.testing.assert_close(weight @ weight.T, torch.eye(400, dtype=torch.float64))


def test_one_feature_cannot_be_normalized():
    with pytest.raises(ValidationError, match="Normalizing a single feature always gives zero"):
        cell_of("ligru", hidden_size=1)
    assert cell_of("ligru", hidden_size=1, options={"layer_norm": "none"}).gain is None


def test_the_forget_bias_is_the_bias_of_the_update_gate():
    b_n, b_z = cell_of("ligru", options={"forget_bias": 2.0}).bias.chunk(2)
    assert (b_z == 2).all()
    assert (b_n == 0).all()
