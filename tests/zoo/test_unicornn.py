"""`unicornn` computes the equations of Rusch and Mishra, 2021 (arXiv 2103.05487)."""

import pytest
import torch
from pydantic import ValidationError

from rnnkit import RecurrentSpec, build_model
from tests.helpers.zoo import assert_equals_formula, cell_of


def formula(cell, x, state):
    """The discrete steps of the paper for one layer, whose y is h, unit by unit."""
    y, z = state
    bias = torch.zeros_like(cell.time_scale) if cell.bias is None else cell.bias
    units = []
    for unit, (w, c) in enumerate(zip(cell.weight_hh, cell.time_scale, strict=True)):
        dt = cell.dt / (1 + torch.exp(-c))
        drive = torch.tanh(w * y[:, unit] + x @ cell.weight_ih[unit] + bias[unit])
        velocity = z[:, unit] - dt * (drive + cell.alpha * y[:, unit])
        units.append((y[:, unit] + dt * velocity, velocity))
    y, z = (torch.stack(parts, -1) for parts in zip(*units, strict=True))
    return y, (y, z)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [{}, {"dt": 0.19, "alpha": 30.65}])
def test_unicornn_equals_the_formula_of_its_paper(options, bias):
    assert_equals_formula("unicornn", formula, bias=bias, options=options)


def test_each_layer_has_its_step_size():
    spec = RecurrentSpec(kind="unicornn", input_size=4, hidden_size=6, num_layers=2, options={"dt": (0.01, 0.3)})
    assert [cell.dt for cell in build_model(spec).backbone.cells] == [0.01, 0.3]


def oscillate(dt, alpha, steps=3000):
    """Return the largest position at the last steps, of oscillators without weights at their largest step size."""
    cell = cell_of("unicornn", options={"dt": dt, "alpha": alpha})
    for parameter in cell.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(cell.time_scale, 100.0)
    state = cell.State(torch.ones(1, 6, dtype=torch.float64), torch.zeros(1, 6, dtype=torch.float64))
    with torch.no_grad():
        for _ in range(steps):
            h, state = cell(torch.zeros(1, 4, dtype=torch.float64), state)
    return h.abs().max()


def test_the_bound_of_the_step_size_is_that_of_stability():
    assert oscillate(0.5, 15.9) < 20
    assert oscillate(0.5, 1.0) < 2
    fields = {"kind": "unicornn", "input_size": 4, "hidden_size": 6, "num_layers": 2}
    for dt in (0.5, (0.1, 0.5)):
        with pytest.raises(ValidationError, match=r"must be below 4.* but is 4\.1: use a smaller dt than 0\.5"):
            RecurrentSpec(**fields, options={"dt": dt, "alpha": 16.4})


def test_parameters_start_as_in_the_authors_code():
    cell = cell_of("unicornn", input_size=50, hidden_size=4000)
    assert 0 <= cell.weight_hh.min() < 0.01
    assert 0.99 < cell.weight_hh.max() <= 1
    assert abs(cell.weight_hh.mean() - 0.5) < 4 / 12**0.5 / 4000**0.5
    assert 0.099 < cell.time_scale.abs().max() <= 0.1
    assert abs(cell.time_scale.mean()) < 0.1 / 3**0.5 / 4000**0.5 * 4
    limit = (6 / (1 + 8**2) / 50) ** 0.5  # He et al., with the slope 8
    assert limit * 0.99 < cell.weight_ih.abs().max() <= limit
    assert not cell.bias.any()
