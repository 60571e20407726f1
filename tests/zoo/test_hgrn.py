"""`hgrn` computes the equations of Qin et al., 2023 (arXiv 2311.04823), with a real state."""

import pytest
import torch

from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, backbone_of, cell_of


def formula(cell, x, state):
    """The recurrence of the paper with an angle of zero, and its normalized and gated output."""
    matrices = cell.weight_ih.split(HIDDEN_SIZE)
    biases = (0, 0, 0) if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    f, c, g = (x @ matrix.T + bias for matrix, bias in zip(matrices, biases, strict=True))
    gamma = 0 if cell.bound is None else 1 / (1 + torch.exp(-cell.bound))
    decay = gamma + (1 - gamma) * torch.sigmoid(f)
    h = decay * state[0] + (1 - decay) * (c * torch.sigmoid(c))
    normalized = h / torch.sqrt((h**2).mean(-1, keepdim=True) + 1e-5) * cell.weight_norm
    return (normalized * g * torch.sigmoid(g)) @ cell.weight_out.T, (h,)


@pytest.mark.parametrize("bias", [True, False])
def test_hgrn_equals_the_formula_of_its_paper(bias):
    assert_equals_formula("hgrn", formula, bias=bias)


def test_a_higher_layer_equals_the_formula():
    cell = backbone_of("hgrn", num_layers=3).cells[2]
    x, h = torch.randn(2, HIDDEN_SIZE, dtype=torch.float64), torch.randn(2, HIDDEN_SIZE, dtype=torch.float64)
    output, state = cell(x, cell.State(h))
    torch.testing.assert_close((output, (state.h,)), formula(cell, x, (h,)))


@pytest.mark.parametrize("directions", [1, 2])
def test_lower_bounds_start_at_the_fraction_of_the_layers_below(directions):
    cells = backbone_of("hgrn", num_layers=4, bidirectional=directions == 2).cells
    for layer, cell in enumerate(cells):
        bound = torch.as_tensor(cell.gamma(), dtype=torch.float64).expand(HIDDEN_SIZE)
        torch.testing.assert_close(bound, torch.full_like(bound, (layer // directions) / 4))


def test_the_forget_bias_is_that_of_the_forget_gate():
    b_f, *others = cell_of("hgrn", options={"forget_bias": 3.0}).bias.chunk(3)
    assert (b_f == 3).all()
    assert torch.cat(others).abs().max() <= HIDDEN_SIZE**-0.5


def test_matrices_start_as_in_torch():
    cell = cell_of("hgrn", input_size=50, hidden_size=400)
    assert (cell.weight_norm == 1).all()
    for parameter in (cell.weight_ih, cell.bias, cell.weight_out):  # uniform in +-1 / 20
        assert parameter.abs().max() <= 0.05
        assert abs(parameter.std() * 20 * 3**0.5 - 1) < 0.1
