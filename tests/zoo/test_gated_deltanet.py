"""`gated_deltanet` computes the gated delta rule of Yang et al., 2024 (arXiv 2412.06464)."""

import pytest
import torch
from torch.nn import functional as F

from rnnkit_builtin.matrix.gated_deltanet import GatedDeltaNetCell
from tests.helpers.zoo import (
    BATCH,
    HIDDEN_SIZE,
    assert_equals_formula,
    assert_equals_whole_sequences,
    backbone_of,
    cell_of,
)


def silu(x):
    return x * torch.sigmoid(x)


def formula(cell, x, state):
    return delta_step(cell, x, silu(x @ cell.weight_ih[: 3 * HIDDEN_SIZE].T), state)


def delta_step(cell, x, features, state):
    """The recurrence of the paper, S_t = alpha S_{t-1} (I - beta k k^T) + beta v k^T, for each head."""
    heads, size = cell.heads, HIDDEN_SIZE // cell.heads
    outputs, states = [], []
    for head in range(heads):
        rows = [slice(n * HIDDEN_SIZE + head * size, n * HIDDEN_SIZE + (head + 1) * size) for n in range(3)]
        q, k, v = (features[:, row] for row in rows)
        q, k = (each / torch.sqrt(each.square().sum(-1, keepdim=True) + 1e-6) for each in (q, k))
        beta = cell.largest_beta * torch.sigmoid(x @ cell.weight_ih[3 * HIDDEN_SIZE + head])[:, None, None]
        alpha = 1.0
        if cell.gated:
            gate = x @ cell.weight_ih[3 * HIDDEN_SIZE + heads + head] + (0 if cell.bias is None else cell.bias[head])
            alpha = torch.exp(-torch.exp(cell.log_rate[head]) * torch.log1p(torch.exp(gate)))[:, None, None]
        s = state[0][:, head].mT  # the paper's has the values first
        kept = torch.eye(size, dtype=x.dtype) - beta * k[:, :, None] * k[:, None, :]
        s = alpha * s @ kept + beta * v[:, :, None] * k[:, None, :]
        outputs.append((s @ q[:, :, None])[..., 0] / size**0.5)
        states.append(s.mT)
    return torch.cat(outputs, -1), (torch.stack(states, 1),)


def convolved_formula(cell, x, state):
    """The block of the paper: short convolutions of queries, keys and values before the SiLU."""
    s, tail = state
    size = HIDDEN_SIZE // cell.heads
    before = [tail[:, head, :, n * size : (n + 1) * size] for n in range(3) for head in range(cell.heads)]
    window = torch.cat([torch.cat(before, -1), (x @ cell.weight_ih[: 3 * HIDDEN_SIZE].T)[:, None]], 1)
    features = silu(torch.einsum("btf,ft->bf", window, cell.convolution.weight[:, 0]))
    y, (s,) = delta_step(cell, x, features, (s,))
    rows = [
        [slice(n * HIDDEN_SIZE + h * size, n * HIDDEN_SIZE + (h + 1) * size) for n in range(3)]
        for h in range(cell.heads)
    ]
    after = [torch.cat([window[:, 1:, row] for row in of_head], -1) for of_head in rows]
    return y, (s, torch.stack(after, 1))


def convolved_sequence(cell, x):
    """One sequence, by torch's convolution with zeros before it."""
    weight = cell.convolution.weight
    padded = F.pad((x @ cell.weight_ih[: 3 * HIDDEN_SIZE].T).T, (weight.shape[-1] - 1, 0))
    features = F.silu(F.conv1d(padded[None], weight, groups=3 * HIDDEN_SIZE))[0].T
    size = HIDDEN_SIZE // cell.heads
    state, outputs = (torch.zeros(1, cell.heads, size, size, dtype=x.dtype),), []
    for x_t, features_t in zip(x, features, strict=True):
        y_t, state = delta_step(cell, x_t[None], features_t[None], state)
        outputs.append(y_t)
    return torch.cat(outputs)


@pytest.mark.parametrize("options", [{}, {"heads": 3}, {"gated": False}, {"heads": 2, "negative_eigenvalues": True}])
@pytest.mark.parametrize("bias", [True, False])
def test_gated_deltanet_equals_the_formula_of_its_paper(options, bias):
    assert_equals_formula("gated_deltanet", formula, bias=bias, options=options)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [{"conv": 4}, {"conv": 2, "heads": 3}, {"conv": 9, "heads": 2, "gated": False}])
def test_convolutions_equal_their_formula(options, bias):
    assert_equals_formula("gated_deltanet", convolved_formula, bias=bias, options=options)
    assert_equals_whole_sequences("gated_deltanet", convolved_sequence, bias=bias, options=options)


def test_convolutions_are_those_of_a_cell_of_its_own():
    with pytest.raises(ValueError, match="conv=4 requires ConvolvedGatedDeltaNetCell"):
        GatedDeltaNetCell(4, 6, conv=4)


@pytest.mark.parametrize("conv", [None, 4])
@pytest.mark.parametrize("negative", [False, True])
def test_chunks_equal_steps(negative, conv):
    options = {"heads": 2, "negative_eigenvalues": negative, "conv": conv}
    backbone = backbone_of("gated_deltanet", options=options)
    x = 3 * torch.randn(BATCH, 150, 4, dtype=torch.float64, requires_grad=True)
    results = []
    for backbone.force_step_loop in (False, True):
        output, (state,) = backbone(x)
        results.append((output, state, torch.autograd.grad(output.square().sum(), [x, *backbone.parameters()])))
    torch.testing.assert_close(*results)


def test_zeros_have_finite_gradients():
    cell = cell_of("gated_deltanet")
    x = torch.zeros(2, 4, dtype=torch.float64, requires_grad=True)
    output, _ = cell(x, cell.State(torch.randn(2, 1, 6, 6, dtype=torch.float64)))
    output.sum().backward()
    assert x.grad.abs().max() < 1e4


def test_decays_start_as_in_the_authors_code():
    heads = 4000
    cell = cell_of("gated_deltanet", input_size=1, hidden_size=heads, options={"heads": heads})
    third = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    torch.testing.assert_close(torch.quantile(cell.log_rate.exp() / 16, third), third, rtol=0, atol=0.04)
    steps = torch.log10(torch.nn.functional.softplus(cell.bias))  # uniform in [-3, -1]
    assert -3 <= steps.min() <= steps.max() <= -1
    torch.testing.assert_close(torch.quantile((steps + 3) / 2, third), third, rtol=0, atol=0.04)


def test_a_step_with_rate_1_replaces_the_value_of_its_key():
    cell = cell_of("gated_deltanet", options={"gated": False})
    with torch.no_grad():
        cell.weight_ih[3 * HIDDEN_SIZE :] = 100  # beta is 1 for positive inputs
    x = torch.rand(2, 4, dtype=torch.float64) + 0.5
    _, state = cell(x, cell.State(torch.randn(2, 1, 6, 6, dtype=torch.float64)))
    _, k, v, _, _ = cell.coefficients(x)
    torch.testing.assert_close(torch.einsum("bhkv,bhk->bhv", state.S, k), v, rtol=1e-4, atol=1e-4)
