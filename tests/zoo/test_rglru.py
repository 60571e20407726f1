"""`rglru` computes the equations of De et al., 2024 (arXiv 2402.19427)."""

import pytest
import torch

from rnnkit import RecurrentSpec
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """Equations 1 to 4 of the paper, with block-diagonal matrices of the gates, after a linear map."""
    size = HIDDEN_SIZE // cell.heads
    u = x @ cell.weight_ih.T
    gates = []
    for gate in range(2):
        rows = cell.weight_gates[gate * HIDDEN_SIZE : (gate + 1) * HIDDEN_SIZE]
        heads = [u[:, first : first + size] @ rows[first : first + size].T for first in range(0, HIDDEN_SIZE, size)]
        bias = 0 if cell.bias is None else cell.bias[gate * HIDDEN_SIZE : (gate + 1) * HIDDEN_SIZE]
        gates.append(torch.sigmoid(torch.cat(heads, -1) + bias))
    r, i = gates
    a = torch.sigmoid(cell.decay) ** (cell.c * r)
    h = a * state[0] + torch.sqrt(1 - a**2) * (i * u)
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [{}, {"heads": 3}, {"c": 2.0}])
def test_rglru_equals_the_formula_of_its_paper(options, bias):
    assert_equals_formula("rglru", formula, bias=bias, options=options)


@pytest.mark.parametrize("c", [8.0, 2.0])
def test_the_decay_with_an_open_gate_starts_uniform(c):
    cell = cell_of("rglru", input_size=10, hidden_size=4000, options={"c": c, "heads": 500})
    decay = torch.sigmoid(cell.decay) ** c
    assert decay.min() > 0.9 - 1e-9
    assert decay.max() < 0.999 + 1e-9
    quantiles = torch.quantile((decay - 0.9) / 0.099, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    torch.testing.assert_close(quantiles, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64), rtol=0, atol=0.04)


def test_matrices_start_normal_and_biases_at_zero():
    cell = cell_of("rglru", input_size=100, hidden_size=400, options={"heads": 4})
    assert (cell.bias == 0).all()
    for weight in (cell.weight_ih, cell.weight_gates):  # both have 100 columns
        assert abs(weight.std() * 10 - 1) < 0.05
        assert weight.abs().max() > 0.3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_closed_recurrence_gate_keeps_the_state_with_finite_gradients(dtype):
    cell = cell_of("rglru").to(dtype)
    with torch.no_grad():
        cell.bias[:HIDDEN_SIZE] = -200  # r is exactly zero
    x, h = torch.randn(2, 4, dtype=dtype), torch.randn(2, HIDDEN_SIZE, dtype=dtype)
    output, _ = cell(x, cell.State(h))
    torch.testing.assert_close(output, h)
    output.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in cell.parameters())


def test_heads_that_do_not_divide_the_hidden_size():
    with pytest.raises(ValueError, match="heads=4 does not divide hidden_size=6; use heads=1 or a divisor"):
        RecurrentSpec(kind="rglru", input_size=4, hidden_size=6, options={"heads": 4})
