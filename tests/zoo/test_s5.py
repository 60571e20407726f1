"""`s5` computes the equations of Smith et al., 2023 (arXiv 2208.04933)."""

import math

import pytest
import torch

from rnnkit import RecurrentSpec, build_model
from tests.helpers.zoo import assert_equals_formula, cell_of
from tests.zoo.test_lru import glu


def formula(cell, x, state):
    """The discrete layer of the paper in complex numbers, with one state of each pair of conjugates."""
    size, hidden_size = len(cell.log_step), cell.hidden_size
    b = torch.complex(cell.weight_ih[:size], cell.weight_ih[size:])
    c = torch.complex(cell.weight_out[:hidden_size], cell.weight_out[hidden_size:])
    eigenvalues, step = torch.complex(*cell.eigenvalues), cell.step_scale * torch.exp(cell.log_step)
    if cell.discretization == "zoh":
        transition = torch.exp(eigenvalues * step)
        b = ((transition - 1) / eigenvalues)[:, None] * b
    else:
        inverse = 1 / (1 - step / 2 * eigenvalues)
        transition = inverse * (1 + step / 2 * eigenvalues)
        b = (inverse * step)[:, None] * b
    s = transition * torch.complex(*state) + x.to(b.dtype) @ b.T
    return glu(cell, 2 * (s @ c.T).real + x @ cell.weight_skip.T), (s.real, s.imag)


OPTIONS = [{}, {"output": "none"}, {"state_size": 3, "start": "lin"}, {"start": "inv"}, {"step_scale": 2.0}]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("discretization", ["zoh", "bilinear"])
@pytest.mark.parametrize("options", OPTIONS)
def test_s5_equals_the_formula_of_its_paper(options, discretization, bias):
    assert_equals_formula("s5", formula, bias=bias, options={**options, "discretization": discretization})


@pytest.mark.parametrize("size", [1, 2, 16])
def test_eigenvalues_start_as_those_of_the_normal_part_of_hippo_legs(size):
    """With its conjugates, they are the eigenvalues of A + P P^T (Gu et al., 2020)."""
    n = torch.arange(2 * size, dtype=torch.float64)
    root = torch.sqrt(2 * n + 1)
    normal = -(torch.outer(root, root).tril(-1) + torch.diag(n + 1)) + torch.outer(root, root) / 2
    expected = torch.linalg.eigvals(normal)
    eigenvalues = torch.complex(*cell_of("s5", options={"state_size": size}).eigenvalues.detach())
    found = torch.cat([eigenvalues, eigenvalues.conj()])
    distances = (found[:, None] - expected).abs()
    assert distances.min(0).values.max() < 1e-9
    assert distances.min(1).values.max() < 1e-9


@pytest.mark.parametrize(("start", "third"), [("lin", 2 * math.pi), ("inv", 16 / math.pi * (16 / 5 - 1))])
def test_eigenvalues_start_as_in_s4d(start, third):
    real, imaginary = cell_of("s5", options={"state_size": 8, "start": start}).eigenvalues
    assert (real == -0.5).all()
    assert imaginary[2].item() == pytest.approx(third)


@pytest.mark.parametrize("start", ["legs", "lin"])
def test_steps_and_matrices_start_at_their_scales(start):
    cell = cell_of("s5", input_size=60, hidden_size=200, options={"state_size": 100, "start": start})
    share = (cell.log_step - math.log(0.001)) / math.log(100)
    expected = torch.linspace(0, 1, 100, dtype=torch.float64)
    torch.testing.assert_close(share.sort().values, expected, rtol=0, atol=0.2)
    for weight, scale in [(cell.weight_ih, 400**-0.5), (cell.weight_out, 200**-0.5), (cell.weight_skip, 60**-0.5)]:
        assert abs(weight.std() / scale - 1) < 0.05


def test_a_positive_real_part_does_not_let_the_state_explode():
    cell = cell_of("s5")
    with torch.no_grad():
        cell.eigenvalues[0] = 1.0
    a_re, a_im, _, _ = cell.recurrence()
    assert (a_re**2 + a_im**2).max() < 1


def test_small_steps_keep_their_digits_in_single_precision():
    cell = cell_of("s5", options={"state_size": 4})
    with torch.no_grad():
        cell.log_step.fill_(math.log(1e-5))
    expected = cell.recurrence()
    for single, double in zip(cell.float().recurrence(), expected, strict=True):
        torch.testing.assert_close(single.double(), double, rtol=3e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [16, 256])
@pytest.mark.parametrize("options", [{"start": "legs"}, {"start": "inv"}, {"discretization": "bilinear"}])
def test_many_states_do_not_overflow_in_half_precision(options, size, dtype):
    options = {**options, "state_size": size, "output": "none"}
    model = build_model(RecurrentSpec(kind="s5", input_size=4, hidden_size=8, readout="all", options=options))
    assert model.backbone.cells[0].eigenvalues.abs().max() ** 2 > torch.finfo(torch.float16).max
    x = torch.randn(3, 20, 4)
    expected = model(x)
    actual = model.to(dtype)(x.to(dtype))
    scale = float(expected.detach().abs().max())
    torch.testing.assert_close(actual.float(), expected, rtol=0, atol=0.05 * scale)
    actual.float().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)
    assert sum(parameter.grad is not None for parameter in model.parameters()) > 4
