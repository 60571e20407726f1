"""`lru` computes the equations of Orvieto et al., 2023 (arXiv 2303.06349)."""

import math

import pytest
import torch

from rnnkit import RecurrentSpec, build_model
from tests.helpers.zoo import assert_equals_formula, cell_of


def formula(cell, x, state):
    """Section 3 of the paper in complex numbers, and the GLU of its block."""
    size, hidden_size = len(cell.log_nu), cell.hidden_size
    b = torch.complex(cell.weight_ih[:size], cell.weight_ih[size:])
    c = torch.complex(cell.weight_out[:hidden_size], cell.weight_out[hidden_size:])
    eigenvalues = torch.exp(torch.complex(-torch.exp(cell.log_nu), torch.exp(cell.log_theta)))
    s = eigenvalues * torch.complex(*state) + torch.exp(cell.log_gamma) * (x.to(b.dtype) @ b.T)
    return glu(cell, (s @ c.T).real + x @ cell.weight_skip.T), (s.real, s.imag)


def glu(cell, y):
    if cell.weight_glu is None:
        return y
    size, y = cell.hidden_size, y / 2 * (1 + torch.erf(y / math.sqrt(2)))
    values, gates = y @ cell.weight_glu[:size].T, y @ cell.weight_glu[size:].T
    if cell.bias is not None:
        values, gates = values + cell.bias[:size], gates + cell.bias[size:]
    return values * torch.sigmoid(gates)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [{}, {"output": "none"}, {"state_size": 3}])
def test_lru_equals_the_formula_of_its_paper(options, bias):
    assert_equals_formula("lru", formula, bias=bias, options=options)


@pytest.mark.parametrize(("r_min", "r_max", "max_phase"), [(0.0, 1.0, 2 * math.pi), (0.9, 0.999, 0.3)])
def test_eigenvalues_start_uniform_on_a_ring(r_min, r_max, max_phase):
    options = {"state_size": 4000, "r_min": r_min, "r_max": r_max, "max_phase": max_phase}
    cell = cell_of("lru", hidden_size=1, options=options)
    size = torch.exp(-torch.exp(cell.log_nu))
    area = (size**2 - r_min**2) / (r_max**2 - r_min**2)
    expected = torch.linspace(0, 1, 4000, dtype=torch.float64)
    for uniform in (area, torch.exp(cell.log_theta) / max_phase):
        torch.testing.assert_close(uniform.sort().values, expected, rtol=0, atol=0.04)
    torch.testing.assert_close(torch.exp(cell.log_gamma) ** 2, 1 - size**2)


def test_matrices_start_normal():
    cell = cell_of("lru", input_size=50, hidden_size=200, options={"state_size": 100})
    for weight, scale in [(cell.weight_ih, 0.1), (cell.weight_out, 0.1), (cell.weight_skip, 50**-0.5)]:
        assert abs(weight.std() / scale - 1) < 0.05
        assert weight.abs().max() > 3 * scale


def test_an_impulse_decays_and_rotates():
    """The state is a power of the eigenvalues times the first input."""
    cell = cell_of("lru", options={"output": "none"})
    x = torch.zeros(1, 20, 4, dtype=torch.float64)
    x[:, 0] = 1
    _, (final,) = build_model_of(cell)(x)
    b = torch.complex(*cell.weight_ih.chunk(2)).sum(-1)
    eigenvalues = torch.polar(torch.exp(-torch.exp(cell.log_nu)), torch.exp(cell.log_theta))
    torch.testing.assert_close(torch.complex(*final)[0], eigenvalues**19 * torch.exp(cell.log_gamma) * b)


def build_model_of(cell):
    options = {"output": "none" if cell.weight_glu is None else "glu"}
    spec = RecurrentSpec(kind="lru", input_size=cell.input_size, hidden_size=cell.hidden_size, options=options)
    backbone = build_model(spec, dtype=torch.float64).backbone
    backbone.cells[0].load_state_dict(cell.state_dict())
    return backbone


@pytest.mark.parametrize("name", ["lru", "s5"])
@pytest.mark.parametrize("output", ["none", "glu"])
def test_only_a_stack_without_a_glu_is_a_linear_map(output, name):
    torch.manual_seed(0)
    spec = RecurrentSpec(kind=name, input_size=4, hidden_size=6, num_layers=3, options={"output": output})
    backbone = build_model(spec, dtype=torch.float64).backbone
    first, second = torch.randn(2, 1, 30, 4, dtype=torch.float64)
    difference = backbone(first + second)[0] - backbone(first)[0] - backbone(second)[0]
    assert (difference.abs().max() < 1e-12) == (output == "none")


def test_a_ring_without_area():
    with pytest.raises(ValueError, match=r"r_min=0\.9 is not below r_max=0\.5; lower r_min or raise r_max"):
        RecurrentSpec(kind="lru", input_size=4, hidden_size=6, options={"r_min": 0.9, "r_max": 0.5})


@pytest.mark.parametrize("ring", [{"r_min": 0.99999}, {"r_max": 1e-30}])
def test_rings_that_rounding_closes_have_finite_parameters(ring):
    spec = RecurrentSpec(kind="lru", input_size=1, hidden_size=2, options={"state_size": 20_000, **ring})
    for parameter in build_model(spec, dtype=torch.float32).parameters():
        assert parameter.isfinite().all()
