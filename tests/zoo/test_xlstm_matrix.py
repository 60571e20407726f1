"""`xlstm_matrix` computes the mLSTM of Beck et al., 2024 (arXiv 2405.04517)."""

import math

import pytest
import torch

from tests.helpers.zoo import BATCH, HIDDEN_SIZE, assert_equals_formula, backbone_of, cell_of


def formula(cell, x, state):
    """Equations 19 to 27 of the paper, without stabilization. The parts C and n of a state are divided by e^m."""
    heads, size = cell.heads, HIDDEN_SIZE // cell.heads
    outputs, states = [], []
    for head in range(heads):
        rows = [slice(n * HIDDEN_SIZE + head * size, n * HIDDEN_SIZE + (head + 1) * size) for n in range(4)]
        rows += [slice(first, first + 1) for first in (4 * HIDDEN_SIZE + head, 4 * HIDDEN_SIZE + heads + head)]
        bias = cell.bias if cell.bias is not None else torch.zeros(4 * HIDDEN_SIZE + 2 * heads, dtype=x.dtype)
        q, k, v, o, i, f = (x @ cell.weight_ih[row].T + bias[row] for row in rows)
        k, log_f = k / math.sqrt(size), torch.log(torch.sigmoid(f))
        c, n, m = (part[:, head] for part in state)
        before = torch.exp(m)[:, None]
        c, n = c * before[..., None], n * before
        c = torch.exp(log_f)[..., None] * c + torch.exp(i)[..., None] * v[:, None, :] * k[:, :, None]
        n = torch.exp(log_f) * n + torch.exp(i) * k
        read = torch.einsum("bkv,bk->bv", c, q) / torch.clamp((n * q).sum(-1, keepdim=True).abs(), min=1)
        outputs.append(torch.sigmoid(o) * read)
        m = torch.maximum(log_f[:, 0] + m, i[:, 0])
        states.append((c * torch.exp(-m)[:, None, None], n * torch.exp(-m)[:, None], m))
    return torch.cat(outputs, -1), tuple(torch.stack(part, 1) for part in zip(*states, strict=True))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("heads", [1, 3])
def test_xlstm_matrix_equals_the_formula_of_its_paper(heads, bias):
    assert_equals_formula("xlstm_matrix", formula, bias=bias, options={"heads": heads})


def with_gates(backbone, *, i, f):
    """Return the backbone with weights of the gates that are this large."""
    cell = backbone.cells[0]
    with torch.no_grad():
        cell.weight_ih[-2 * cell.heads : -cell.heads] = i * torch.randn(cell.heads, 4)
        cell.weight_ih[-cell.heads :] = f * torch.randn(cell.heads, 4)
    return backbone


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("i", "f"), [(1, 1), (30, 30), (1, 300)], ids=["usual", "large", "reset"])
def test_chunks_equal_steps_with_any_gates(i, f, dtype):
    """Gates of exp(30) and of 0 overflow without the stabilizer."""
    torch.manual_seed(0)
    backbone = with_gates(backbone_of("xlstm_matrix", options={"heads": 2}), i=i, f=f).to(dtype)
    x = torch.randn(BATCH, 150, 4, dtype=dtype, requires_grad=True)
    results = []
    for backbone.force_step_loop in (False, True):
        output, (state,) = backbone(x)
        results.append((output, *state, *torch.autograd.grad(output.square().sum(), [x, *backbone.parameters()])))
    for chunks, steps in zip(*results, strict=True):
        assert (chunks - steps).abs().max() <= (1e-10 if dtype == torch.float64 else 2e-3) * steps.abs().max()


def test_closed_gates_over_a_long_sequence_have_finite_gradients():
    """The logarithms of the gates fall below the smallest number."""
    backbone = backbone_of("xlstm_matrix").float()
    with torch.no_grad():
        backbone.cells[0].bias[-2:] = torch.tensor([-300.0, 0.0])
    output, _ = backbone(torch.randn(BATCH, 400, 4))
    output.sum().backward()
    assert output.abs().max() < 1e-30
    assert all(parameter.grad.isfinite().all() for parameter in backbone.parameters())


def test_biases_of_the_gates_start_as_in_the_authors_code():
    heads = 200
    cell = cell_of("xlstm_matrix", hidden_size=heads, options={"heads": heads})
    b_i, b_f = cell.bias[-2 * heads :].chunk(2)
    torch.testing.assert_close(b_f, torch.linspace(3, 6, heads, dtype=torch.float64), rtol=0, atol=1e-6)
    assert abs(b_i.mean()) < 0.03
    assert 0.08 < b_i.std() < 0.12
    assert (cell.bias[: -2 * heads] == 0).all()
    assert (cell.weight_ih[-2 * heads :] == 0).all()


def test_the_forget_bias():
    bias = cell_of("xlstm_matrix", options={"heads": 2, "forget_bias": 1.5}).bias
    assert (bias[-2:] == 1.5).all()
    assert (bias[:-4] == 0).all()
