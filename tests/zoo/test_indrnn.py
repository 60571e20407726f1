"""`indrnn` computes the equation of Li et al., 2018 (arXiv 1803.04831)."""

import pytest
import torch

from rnnkit import constrain_
from tests.helpers.zoo import assert_equals_formula, cell_of


def formula(cell, x, state):
    """The recurrence of the paper, element-wise."""
    bias = 0 if cell.bias is None else cell.bias
    x = torch.stack([x @ row for row in cell.weight_ih], -1) + bias
    x = x + torch.stack([u * h for u, h in zip(cell.weight_hh, state[0].unbind(-1), strict=True)], -1)
    h = torch.where(x > 0, x, torch.zeros_like(x)) if cell.nonlinearity == "relu" else torch.tanh(x)
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
def test_indrnn_equals_the_formula_of_its_paper(nonlinearity, bias):
    assert_equals_formula("indrnn", formula, bias=bias, options={"nonlinearity": nonlinearity})


def test_constrain_clamps_the_recurrent_weights_to_two_in_max_length_steps():
    cell = cell_of("indrnn", options={"max_length": 100})
    with torch.no_grad():
        cell.weight_hh.copy_(torch.tensor([-3.0, -1.0, 0.5, 1.0, 1.006, 187.0]))
    constrain_(cell)
    assert cell.weight_hh.tolist() == pytest.approx([-(2**0.01), -1, 0.5, 1, 1.006, 2**0.01])
    h, (state,) = torch.ones(1, 1), (torch.ones(1, 6, dtype=torch.float64),)
    for _ in range(100):
        h, (state,) = cell.step(torch.zeros(1, 6, dtype=torch.float64), cell.State(state))
    assert h.max().item() == pytest.approx(2)


def test_without_max_length_nothing_is_constrained():
    cell = cell_of("indrnn")
    with torch.no_grad():
        cell.weight_hh.fill_(187)
    constrain_(cell)
    assert cell.weight_hh.min() == 187


@pytest.mark.parametrize(("options", "bound"), [({}, 1), ({"max_length": 10}, 2**0.1)])
def test_parameters_start_as_in_the_authors_code(options, bound):
    cell = cell_of("indrnn", input_size=50, hidden_size=4000, options=options)
    assert 0 <= cell.weight_hh.min() < 0.01
    assert bound * 0.99 < cell.weight_hh.max() <= bound
    assert abs(cell.weight_hh.mean() - bound / 2) < bound / 12**0.5 / 4000**0.5 * 4
    limit = (6 / (1 + 8**2) / 50) ** 0.5  # He et al., with the slope 8
    assert limit * 0.99 < cell.weight_ih.abs().max() <= limit
    assert abs(cell.weight_ih.std() * 3**0.5 / limit - 1) < 0.01
    assert not cell.bias.any()
