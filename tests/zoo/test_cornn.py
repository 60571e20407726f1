"""`cornn` computes the equations of Rusch and Mishra, 2021 (arXiv 2010.00951)."""

import pytest
import torch
from pydantic import ValidationError

from rnnkit import RecurrentSpec
from tests.helpers.zoo import assert_equals_formula, cell_of


def formula(cell, x, state):
    """The discrete steps of the paper with explicit damping; its y is h."""
    y, z = state
    bias = 0 if cell.bias is None else cell.bias
    acceleration = torch.tanh(y @ cell.weight_hh.T + z @ cell.weight_zh.T + x @ cell.weight_ih.T + bias)
    acceleration = acceleration - cell.gamma * y - cell.epsilon * z
    z = z + cell.dt * acceleration
    y = y + cell.dt * z
    return y, (y, z)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [{}, {"dt": 0.06, "gamma": 66.0, "epsilon": 15.0}])
def test_cornn_equals_the_formula_of_its_paper(options, bias):
    assert_equals_formula("cornn", formula, bias=bias, options=options)


def oscillate(dt, gamma, epsilon, steps=3000):
    """Return the largest position of oscillators without weights at the last steps."""
    cell = cell_of("cornn", options={"dt": dt, "gamma": gamma, "epsilon": epsilon})
    for parameter in cell.parameters():
        torch.nn.init.zeros_(parameter)
    state = cell.State(torch.ones(1, 6, dtype=torch.float64), torch.ones(1, 6, dtype=torch.float64))
    with torch.no_grad():
        for _ in range(steps):
            h, state = cell.step(torch.zeros(1, 6, dtype=torch.float64), state)
    return h.abs().max()


@pytest.mark.parametrize("gamma", [0.5, 20.0])
def test_the_bound_of_the_step_size_is_that_of_stability(gamma):
    # dt = 0.4: 0.8 * epsilon + 0.16 * gamma is 4 at this epsilon
    epsilon = (4 - 0.16 * gamma) / 0.8
    assert oscillate(0.4, gamma, epsilon * 0.99) < 1e-3
    with pytest.raises(ValidationError, match=r"below 4, or the state explodes.*use a smaller dt than 0\.4"):
        RecurrentSpec(
            kind="cornn", input_size=4, hidden_size=6, options={"dt": 0.4, "gamma": gamma, "epsilon": epsilon * 1.01}
        )


def test_parameters_start_as_in_torch():
    cell = cell_of("cornn", input_size=50, hidden_size=400)
    for parameter in cell.parameters():  # uniform in +-1 / 20
        assert parameter.abs().max() <= 0.05
        assert abs(parameter.std() * 20 * 3**0.5 - 1) < 0.1
