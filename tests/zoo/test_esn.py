"""`esn` computes the equation of Jaeger et al., 2007, and its reservoir is drawn as prescribed."""

import numpy as np
import pytest
import torch

from rnnkit import RecurrentSpec, build_model
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The leaky integrator, unit by unit in the sum over the reservoir."""
    (h,) = state
    total = x @ cell.weight_ih.T + (0 if cell.bias is None else cell.bias)
    for unit in range(HIDDEN_SIZE):
        total = total + h[:, unit, None] * cell.weight_hh[:, unit]
    h = h + cell.leak * (torch.tanh(total) - h)
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("leak", [1.0, 0.3])
def test_esn_equals_the_formula_of_its_paper(leak, bias):
    assert_equals_formula("esn", formula, bias=bias, options={"leak": leak, "density": 0.5})


def test_nothing_is_trained():
    cell = cell_of("esn")
    assert not list(cell.parameters())
    assert sorted(cell.state_dict()) == ["bias", "weight_hh", "weight_ih"]


@pytest.mark.parametrize("radius", [0.9, 1.25])
def test_the_recurrent_weights_have_the_spectral_radius(radius):
    cell = cell_of("esn", hidden_size=80, options={"spectral_radius": radius})
    assert abs(np.linalg.eigvals(cell.weight_hh.numpy())).max() == pytest.approx(radius)


@pytest.mark.parametrize(("density", "count"), [(0.1, 20), (0.001, 1), (1.0, 200)])
def test_each_unit_reads_the_same_number_of_units(density, count):
    cell = cell_of("esn", hidden_size=200, options={"density": density})
    assert (cell.weight_hh != 0).sum(1).tolist() == [count] * 200
    # at random places: each column is read by `count` units on average
    assert abs((cell.weight_hh != 0).sum(0).double().mean() - count) < 1e-9
    if count == 20:
        assert 1 < (cell.weight_hh != 0).sum(0).double().var() < 40  # binomial: 18


def test_weights_start_uniform_in_their_scaling():
    options = {"input_scaling": 0.5, "bias_scaling": 0.2}
    cell = cell_of("esn", input_size=50, hidden_size=400, options=options)
    for tensor, bound in ((cell.weight_ih, 0.5), (cell.bias, 0.2)):
        assert bound * 0.98 < tensor.abs().max() <= bound
        assert abs(tensor.mean()) < bound / 3**0.5 / tensor.numel() ** 0.5 * 4
        assert abs(tensor.std() * 3**0.5 / bound - 1) < 0.1
    values = cell.weight_hh[cell.weight_hh != 0]
    assert abs(values.mean()) < values.std() / values.numel() ** 0.5 * 4
    assert abs(values.std() * 3**0.5 / values.abs().max() - 1) < 0.05  # uniform


def test_the_state_forgets_its_start():
    cell, x = cell_of("esn", hidden_size=50), torch.randn(200, 2, 4, dtype=torch.float64)
    x[:, 1] = x[:, 0]
    state = cell.State(torch.randn(2, 50, dtype=torch.float64))
    for x_t in x:
        _, state = cell(x_t, state)
    torch.testing.assert_close(state.h[0], state.h[1])


def test_each_unit_reads_others_in_a_narrow_dtype():
    """A draw in bfloat16 would be zero once in 256, and the radius of one unit then NaN after the division by zero."""
    spec = RecurrentSpec(kind="esn", input_size=1, hidden_size=300, options={"density": 1.0})
    weight = build_model(spec, dtype=torch.bfloat16).backbone.cells[0].weight_hh
    assert weight.dtype == torch.bfloat16
    assert weight.count_nonzero() == 300 * 300
