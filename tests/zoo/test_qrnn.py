"""`qrnn` computes the equations of Bradbury et al., 2016 (arXiv 1611.01576)."""

import pytest
import torch

from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, cell_of


def formula(cell, x, state):
    """The paper's layer with fo-pooling: masked convolutions, as sums of products with the last inputs."""
    c, tail = state
    inputs = [*tail.unbind(1), x]
    gates = [
        sum(each @ matrices[:, :, i].T for i, each in enumerate(inputs))
        for matrices in cell.convolution.weight.split(HIDDEN_SIZE)
    ]
    if cell.convolution.bias is not None:
        gates = [gate + bias for gate, bias in zip(gates, cell.convolution.bias.split(HIDDEN_SIZE), strict=True)]
    z, f, o = torch.tanh(gates[0]), torch.sigmoid(gates[1]), torch.sigmoid(gates[2])
    c = f * c + (1 - f) * z
    return o * c, (c, torch.stack(inputs[1:], 1))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("window", [2, 4])
def test_qrnn_equals_the_formula_of_its_paper(window, bias):
    assert_equals_formula("qrnn", formula, bias=bias, options={"window": window})


def test_the_forget_bias_is_that_of_the_forget_gate():
    b_z, b_f, b_o = cell_of("qrnn", options={"forget_bias": 3.0}).convolution.bias.chunk(3)
    assert (b_f == 3).all()
    assert max(b_z.abs().max(), b_o.abs().max()) < 1


def test_parameters_start_as_those_of_a_convolution_in_torch():
    cell = cell_of("qrnn", input_size=50, hidden_size=400)
    expected = torch.nn.Conv1d(50, 1200, 2, dtype=torch.float64)
    for parameter, other in zip(cell.parameters(), expected.parameters(), strict=True):
        assert parameter.shape == other.shape
        assert abs(parameter.abs().max() / other.abs().max() - 1) < 0.01
        assert abs(parameter.std() / other.std() - 1) < 0.1
