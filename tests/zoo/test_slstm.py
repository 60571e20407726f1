"""`slstm` computes the equations of Beck et al., 2024 (arXiv 2405.04517)."""

import pytest
import torch
from pydantic import ValidationError

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import HIDDEN_SIZE, assert_equals_formula, backbone_of, cell_of


def formula(cell, x, state):
    """Equations 8 to 17 of the paper; the scaled memory is its memory times exp(-m)."""
    h, c, n, m = state
    scale = torch.exp(m)
    i, f, z, o = (
        product + recurrence for product, recurrence in zip(inputs(cell, x), recurrences(cell, h), strict=True)
    )
    i, f = torch.exp(i), (torch.sigmoid(f) if cell.forget == "sigmoid" else torch.exp(f))
    c, n = f * c * scale + i * torch.tanh(z), f * n * scale + i
    h = torch.sigmoid(o) * c / n
    m = torch.maximum(torch.log(f) + m, torch.log(i))
    return h, (h, c * torch.exp(-m), n * torch.exp(-m), m)


def inputs(cell, x):
    biases = [0] * 4 if cell.bias is None else cell.bias.split(HIDDEN_SIZE)
    return [x @ w.T + b for w, b in zip(cell.weight_ih.split(HIDDEN_SIZE), biases, strict=True)]


def recurrences(cell, h):
    size = HIDDEN_SIZE // cell.heads
    for r in cell.weight_hh.split(HIDDEN_SIZE):
        blocks = zip(h.split(size, 1), r.split(size), strict=True)
        yield torch.cat([part @ block.T for part, block in blocks], 1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("heads", [1, 2, 6])
@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
def test_slstm_equals_the_formula_of_its_paper(forget, heads, bias, monkeypatch):
    monkeypatch.setattr(torch.nn.init, "zeros_", lambda parameter: parameter)  # recurrent weights that are not zero
    assert_equals_formula("slstm", formula, bias=bias, options={"forget": forget, "heads": heads})


def test_the_first_step_of_a_sequence_is_that_of_the_formula():
    backbone = backbone_of("slstm")
    x = torch.randn(3, 1, 4, dtype=torch.float64)
    _, (final,) = backbone(x)
    h, _ = formula(backbone.cells[0], x[:, 0], [torch.zeros(3, HIDDEN_SIZE, dtype=torch.float64)] * 4)
    torch.testing.assert_close(final.h, h)


def test_a_sequence_may_start_beside_others_whatever_its_input_gate():
    """Authors' code, xlstm 2.0.6, gives NaN here: exp(-120 - 0) is 0 in float32, and 0 / 0 follows."""
    cell = cell_of("slstm").float()
    with torch.no_grad():
        cell.bias[:HIDDEN_SIZE] = -120.0
    used = cell.State(*torch.rand(4, 1, HIDDEN_SIZE))
    fresh = cell.initial_state(1, dtype=torch.float32)
    x = torch.randn(2, 4)
    output, _ = cell(x, cell.State(*[torch.cat(parts) for parts in zip(used, fresh, strict=True)]))
    assert output.isfinite().all()
    torch.testing.assert_close(output[1:], cell(x[1:], fresh)[0])


def test_large_gates_do_not_overflow():
    backbone = backbone_of("slstm").float()
    with torch.no_grad():
        backbone.cells[0].bias[:HIDDEN_SIZE] = 500.0
    output, (final,) = backbone(torch.randn(2, 50, 4))
    assert output.isfinite().all()
    assert all(part.isfinite().all() for part in final)
    assert output.abs().max() <= 1


@pytest.mark.parametrize(("layer", "exponent"), [(0, 0.3), (1, 0.95), (2, 1.6)])
def test_parameters_start_as_in_the_code_of_the_authors(layer, exponent):
    cell = backbone_of("slstm", hidden_size=40, num_layers=3, input_size=40, options={"heads": 4}).cells[layer]
    b_i, b_f, b_z, b_o = cell.bias.chunk(4)
    for parameter in (cell.weight_hh, b_i, b_z, b_o):
        assert (parameter == 0).all()
    expected = [5 - 12 * (feature / 9) ** exponent for feature in range(10)] * 4
    torch.testing.assert_close(b_f, torch.tensor(expected, dtype=torch.float64))
    assert_uniform(cell.weight_ih, -(40**-0.5), 40**-0.5)


def test_a_head_of_one_feature_starts_open():
    assert (cell_of("slstm", options={"heads": HIDDEN_SIZE}).bias.chunk(4)[1] == 5).all()


def test_heads_do_not_read_each_other():
    backbone = backbone_of("slstm", options={"heads": 2, "recurrent_init": "orthogonal"})
    cell = backbone.cells[0]
    h = torch.rand(1, HIDDEN_SIZE, dtype=torch.float64, requires_grad=True)
    rest = torch.rand(3, 1, HIDDEN_SIZE, dtype=torch.float64)
    output, _ = cell(torch.zeros(1, 4, dtype=torch.float64), cell.State(h, *rest))
    [gradient] = torch.autograd.grad(output[0, :3].sum(), h)
    assert gradient[0, :3].all()
    assert not gradient[0, 3:].any()


def test_heads_divide_the_hidden_size():
    with pytest.raises(ValidationError, match="hidden_size=6 must be a multiple of heads=4"):
        cell_of("slstm", options={"heads": 4})


def test_the_forget_bias_is_the_bias_of_the_forget_gate():
    bias = cell_of("slstm", options={"forget_bias": 2.0}).bias.split(HIDDEN_SIZE)
    assert [bool((each == 2).all()) for each in bias] == [False, True, False, False]
