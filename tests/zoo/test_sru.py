"""`sru` computes the equations of Lei et al., 2018 (arXiv 1709.02755)."""

import math

import pytest
import torch

from tests.helpers.zoo import BATCH, HIDDEN_SIZE, INPUT_SIZE, assert_equals_formula, backbone_of, cell_of


def formula(cell, x, state):
    """The recurrence of the paper, with its scaling correction."""
    [c], matrices = state, cell.weight_ih.split(HIDDEN_SIZE)
    v_f, v_r = (0, 0) if cell.weight_peephole is None else cell.weight_peephole.split(HIDDEN_SIZE)
    b_f, b_r = (0, 0) if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    f = torch.sigmoid(x @ matrices[1].T + v_f * c + b_f)
    r = torch.sigmoid(x @ matrices[2].T + v_r * c + b_r)
    c = f * c + (1 - f) * (x @ matrices[0].T)
    skip = x @ matrices[3].T if len(matrices) == 4 else math.sqrt(3) * x
    return r * c + (1 - r) * skip, (c,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("peephole", [True, False])
@pytest.mark.parametrize("input_size", [INPUT_SIZE, HIDDEN_SIZE])
def test_sru_equals_the_formula_of_its_paper(input_size, peephole, bias):
    assert_equals_formula("sru", formula, input_size=input_size, bias=bias, options={"peephole": peephole})


@pytest.mark.parametrize("peephole", [True, False])
def test_only_gates_that_do_not_read_the_state_are_scanned(peephole):
    backbone = backbone_of("sru", options={"peephole": peephole})
    backbone(torch.randn(BATCH, 9, INPUT_SIZE, dtype=torch.float64))
    assert (backbone.executor == "unroll") == (not peephole)


def test_parameters_start_as_in_the_code_of_the_authors():
    cell = cell_of("sru", input_size=300, hidden_size=400, options={"highway_bias": -1.0})
    n, f, r, highway = cell.weight_ih.chunk(4)
    alpha = math.sqrt(1 + 2 * math.exp(-1))
    for weight, variance in [(n, 1 / 300), (f, 0.5 / 300), (r, 0.5 / 300), (highway, alpha**2 / 300)]:
        assert weight.abs().max() <= math.sqrt(3 * variance)
        assert abs(weight.var() / variance - 1) < 0.02
    assert cell.weight_peephole.abs().max() <= math.sqrt(1.5)
    assert abs(cell.weight_peephole.var() / 0.5 - 1) < 0.1
    assert (cell.bias.chunk(2)[0] == 0).all()
    assert (cell.bias.chunk(2)[1] == -1).all()


def test_without_peepholes_the_gates_start_with_the_whole_variance():
    gates = cell_of("sru", input_size=400, hidden_size=400, options={"peephole": False}).weight_ih[400:]
    assert abs(gates.var() * 400 - 1) < 0.02


def test_the_forget_bias_is_that_of_the_forget_gate():
    f, r = cell_of("sru", options={"forget_bias": 3.0}).bias.chunk(2)
    assert (f == 3).all()
    assert (r == 0).all()


def test_a_highway_bias_whose_scale_would_overflow_is_refused():
    with pytest.raises(ValueError, match="less than or equal to 10"):
        cell_of("sru", options={"highway_bias": 1000.0})
