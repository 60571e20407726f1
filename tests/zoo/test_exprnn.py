"""`exprnn` computes the equations of Lezcano-Casado and Martínez-Rubio, 2019 (arXiv 1901.08428)."""

import math

import pytest
import torch

from tests.helpers.zoo import assert_equals_formula, cell_of


def exponential(matrix):
    """The power series of the exponential, of a part of the matrix whose power is taken."""
    part, result, term = matrix / 2**8, torch.eye(len(matrix), dtype=matrix.dtype), torch.eye(len(matrix)).double()
    for k in range(1, 20):
        term = term @ part / k
        result = result + term
    for _ in range(8):
        result = result @ result
    return result


def formula(cell, x, state):
    """The recurrence of the paper, with an orthogonal matrix and the modReLU of Arjovsky et al."""
    (h,) = state
    rotation = exponential(cell.weight_hh - cell.weight_hh.T)
    value = x @ cell.weight_ih.T + h @ rotation.T
    magnitude = value.abs() + cell.bias
    h = torch.where(magnitude > 0, magnitude, torch.zeros_like(magnitude)) * torch.where(value > 0, 1.0, -1.0)
    return h, (h,)


@pytest.mark.parametrize("angles", ["henaff", "cayley"])
def test_exprnn_equals_the_formula_of_its_paper(angles):
    assert_equals_formula("exprnn", formula, options={"angles": angles})


def test_the_recurrent_matrix_is_orthogonal_for_any_weights():
    cell = cell_of("exprnn", hidden_size=30)
    torch.nn.init.normal_(cell.weight_hh)
    rotation = cell.prepare()
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(30, dtype=torch.float64))
    assert torch.linalg.det(rotation).item() == pytest.approx(1)


@pytest.mark.parametrize("size", [1, 2, 7, 4000])
@pytest.mark.parametrize("angles", ["henaff", "cayley"])
def test_rotations_start_as_in_the_authors_code(angles, size):
    cell = cell_of("exprnn", hidden_size=size, options={"angles": angles})
    drawn = cell.weight_hh.diagonal(1)[::2]
    assert cell.weight_hh.count_nonzero() == len(drawn) == size // 2
    if size < 4000:
        return
    if angles == "henaff":  # uniform in [-pi, pi]
        assert math.pi * 0.99 < drawn.abs().max() <= math.pi
        assert abs(drawn.mean()) < math.pi / 3**0.5 / 2000**0.5 * 4
        assert abs(drawn.std() * 3**0.5 / math.pi - 1) < 0.05
    else:  # -sqrt((1 - cos u) / (1 + cos u)) of a uniform u in [0, pi / 2]
        assert -1 <= drawn.min() < -0.99
        assert -0.01 < drawn.max() <= 0
        # the mean of -tan(u / 2) is -2 log(2) / pi
        assert abs(drawn.mean() + 2 * math.log(2) / math.pi) < 0.3 / 2000**0.5 * 4


def test_the_other_parameters_start_as_in_the_authors_code():
    cell = cell_of("exprnn", input_size=50, hidden_size=400)
    std = (2 / 50) ** 0.5  # He et al.: normal
    assert abs(cell.weight_ih.std() / std - 1) < 0.02
    assert cell.weight_ih.abs().max() > 3 * std
    assert 0.0099 < cell.bias.abs().max() <= 0.01
    assert abs(cell.bias.mean()) < 0.01 / 3**0.5 / 400**0.5 * 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_recurrent_matrix_is_orthogonal_in_narrow_dtypes(dtype):
    cell = cell_of("exprnn", hidden_size=8).to(dtype)
    rotation = cell.prepare()
    assert rotation.dtype == dtype
    torch.testing.assert_close(rotation.double() @ rotation.double().T, torch.eye(8).double(), atol=0.05, rtol=0)
