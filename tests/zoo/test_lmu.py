"""`lmu` computes the equations of Voelker et al., 2019, and its memory holds a window of the input."""

import math

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import legval

from tests.helpers.zoo import BATCH, assert_equals_formula, cell_of

ORDER, SIGNALS = 3, 2


def continuous(order, theta):
    """A and B of the paper, divided by theta, entry by entry."""
    a, b = np.zeros((order, order)), np.zeros(order)
    for i in range(order):
        b[i] = (2 * i + 1) * (-1) ** i / theta
        for j in range(order):
            a[i, j] = (2 * i + 1) / theta * (-1 if i < j else (-1) ** (i - j + 1))
    return a, b


def held_for_one_step(order, theta, substeps=2000):
    """Integrate dm/dt = A m + B u over one step at a constant u by the Runge-Kutta method."""
    a, b = continuous(order, theta)
    dt = 1 / substeps

    def integrate(m, u):
        for _ in range(substeps):
            k1 = a @ m + b * u
            k2 = a @ (m + dt / 2 * k1) + b * u
            k3 = a @ (m + dt / 2 * k2) + b * u
            k4 = a @ (m + dt * k3) + b * u
            m = m + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return m

    columns = [integrate(unit, 0) for unit in np.identity(order)]
    return np.stack(columns, 1), integrate(np.zeros(order), 1)


@pytest.mark.parametrize(("order", "theta"), [(1, 1.0), (6, 4.5), (12, 100.0)])
def test_the_memory_solves_its_differential_equation(order, theta):
    cell = cell_of("lmu", options={"order": order, "theta": theta})
    matrix, column = held_for_one_step(order, theta)
    np.testing.assert_allclose(cell.matrix.numpy(), matrix, atol=1e-9)
    np.testing.assert_allclose(cell.column.numpy()[:, 0], column, atol=1e-9)


def formula(cell, x, state):
    """The three lines of the paper, with one vector of coefficients for each signal."""
    h, m = state
    a, b = cell.matrix[:ORDER, :ORDER], cell.column[:ORDER, 0]
    u = x @ cell.weight_iu.T
    if cell.weight_hu is not None:
        u = u + h @ cell.weight_hu.T + m @ cell.weight_mu.T
    m = torch.cat([m[:, ORDER * k : ORDER * (k + 1)] @ a.T + u[:, k, None] * b for k in range(SIGNALS)], 1)
    h = torch.tanh(x @ cell.weight_ih.T + h @ cell.weight_hh.T + m @ cell.weight_mh.T)
    return h, (h, m)


@pytest.mark.parametrize("feedback", [True, False])
def test_lmu_equals_the_formula_of_its_paper(feedback):
    options = {"order": ORDER, "theta": 6.5, "memory_size": SIGNALS, "feedback": feedback}
    assert_equals_formula("lmu", formula, options=options)


def test_the_memory_holds_the_last_steps_of_a_signal_before_training():
    theta, order, time = 50, 10, 300
    cell = cell_of("lmu", input_size=1, options={"order": order, "theta": float(theta), "feedback": False})
    torch.nn.init.ones_(cell.weight_iu)
    steps = torch.arange(time, dtype=torch.float64)
    x = torch.sin(2 * math.pi * steps / 60) + torch.cos(2 * math.pi * steps / 45)
    state = cell.initial_state(1, dtype=torch.float64)
    with torch.no_grad():
        for x_t in x:
            _, state = cell(x_t.reshape(1, 1), state)
    lags = np.arange(theta)
    # the shifted Legendre polynomials at lag / theta; a held value is that of half a step before
    decoded = legval(2 * (lags + 0.5) / theta - 1, state.m[0].numpy())
    assert np.abs(decoded - x.flip(0)[:theta].numpy()).max() < 0.05
    assert x.abs().max() > 1.5


def test_matrices_are_not_trained():
    cell = cell_of("lmu")
    assert {"matrix", "column"} == dict(cell.named_buffers()).keys()


def test_parameters_start_as_in_the_authors_code():
    cell = cell_of("lmu", input_size=300, hidden_size=300, options={"memory_size": 50})
    for weight in (cell.weight_iu, cell.weight_hu):  # LeCun et al.: uniform with the variance 1 / fan_in
        bound = (3 / 300) ** 0.5
        assert bound * 0.99 < weight.abs().max() <= bound
        assert abs(weight.mean()) < bound / 3**0.5 / weight.numel() ** 0.5 * 4
    assert not cell.weight_mu.any()
    for weight in (cell.weight_ih, cell.weight_hh, cell.weight_mh):  # Glorot and Bengio: normal
        std = (2 / sum(weight.shape)) ** 0.5
        assert abs(weight.std() / std - 1) < 0.02
        assert weight.abs().max() > 3 * std


def test_the_state_has_the_size_of_the_memory():
    shapes = cell_of("lmu", options={"order": 5, "memory_size": 3}).state_shapes(BATCH)
    assert shapes.m == (BATCH, 15)
