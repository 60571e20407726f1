"""`antisymmetric` computes the equations of Chang et al., 2019 (arXiv 1902.09689)."""

import pytest
import torch
from torchrecurrent import AntisymmetricRNNCell

from tests.helpers.zoo import BATCH, HIDDEN_SIZE, INPUT_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The explicit Euler method with diffusion, and with the gate of the second model."""
    (h,) = state
    matrix = cell.weight_hh - cell.weight_hh.T - cell.gamma * torch.eye(HIDDEN_SIZE, dtype=torch.float64)
    v, b = cell.weight_ih[:HIDDEN_SIZE], 0 if cell.bias is None else cell.bias[:HIDDEN_SIZE]
    derivative = torch.tanh(h @ matrix.T + x @ v.T + b)
    if cell.gated:
        v, b = cell.weight_ih[HIDDEN_SIZE:], 0 if cell.bias is None else cell.bias[HIDDEN_SIZE:]
        derivative = derivative / (1 + torch.exp(-(h @ matrix.T + x @ v.T + b)))
    h = h + cell.epsilon * derivative
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gated", [True, False])
def test_antisymmetric_equals_the_formulas_of_its_paper(gated, bias):
    options = {"gated": gated, "epsilon": 0.3, "gamma": 0.1}
    assert_equals_formula("antisymmetric", formula, bias=bias, options=options)


def test_antisymmetric_equals_torchrecurrent():
    cell = cell_of("antisymmetric", options={"epsilon": 0.3, "gamma": 0.1})
    theirs = AntisymmetricRNNCell(INPUT_SIZE, HIDDEN_SIZE, epsilon=0.3, gamma=0.1).double()
    with torch.no_grad():
        for own, their in ((cell.weight_ih, theirs.weight_ih), (cell.weight_hh, theirs.weight_hh)):
            their.copy_(own)
        theirs.bias_ih.copy_(cell.bias)
        theirs.bias_hh.zero_()
    x, h = torch.randn(BATCH, INPUT_SIZE, dtype=torch.float64), torch.randn(BATCH, HIDDEN_SIZE, dtype=torch.float64)
    torch.testing.assert_close(cell(x, cell.State(h))[0], theirs(x, h))


def test_the_linear_part_neither_grows_nor_decays_at_a_small_step_size():
    cell = cell_of("antisymmetric", hidden_size=100, options={"gamma": 0.0})
    values = torch.linalg.eigvals(cell.prepare())
    assert values.real.abs().max() < 1e-12
    assert values.imag.abs().max() > 1


@pytest.mark.parametrize("gated", [True, False])
def test_parameters_start_as_in_the_paper(gated):
    cell = cell_of("antisymmetric", input_size=100, hidden_size=400, options={"gated": gated})
    for weight, std in ((cell.weight_ih, 0.1), (cell.weight_hh, 0.05)):
        assert abs(weight.mean()) < std / weight.numel() ** 0.5 * 4
        assert abs(weight.std() / std - 1) < 0.02
        assert weight.abs().max() > 3 * std  # a normal distribution
    assert cell.bias.tolist() == [0] * 400 + [1] * 400 * gated
