"""`gla` computes gated linear attention (arXiv 2312.06635) and the cells that differ from it in their decays."""

import pytest
import torch

from rnnkit import RecurrentSpec
from tests.helpers.zoo import BATCH, HIDDEN_SIZE, assert_equals_formula, backbone_of, cell_of


def head_of(weight, number, head, heads):
    """Return the rows of a head in the block of a projection."""
    size = HIDDEN_SIZE // heads
    first = number * HIDDEN_SIZE + head * size
    return weight[first : first + size]


def linear_attention(cell, x, s, head):
    """The recurrent form of Katharopoulos et al., 2020, with phi(x) = elu(x) + 1."""
    q, k, v = (x @ head_of(cell.weight_ih, number, head, cell.heads).T for number in range(3))
    q, k = torch.nn.functional.elu(q) + 1, torch.nn.functional.elu(k) + 1
    s, z = s[..., :-1] + k[:, :, None] * v[:, None, :], s[..., -1] + k
    y = torch.einsum("bk,bkv->bv", q, s) / (q * z).sum(-1, keepdim=True)
    return y, torch.cat([s, z[..., None]], -1)


def retention(cell, x, s, head):
    """The recurrent form of Sun et al., 2023, without the rotation; gamma is 1 - 2^(-5 - head)."""
    q, k, v = (x @ head_of(cell.weight_ih, number, head, cell.heads).T for number in range(3))
    s = (1 - 2.0 ** (-5 - head)) * s + k[:, :, None] * v[:, None, :]
    return torch.einsum("bk,bkv->bv", q, s) / k.shape[1] ** 0.5, s


def gated_linear_attention(cell, x, s, head):
    """The recurrent form of Yang et al., 2023: alpha is the 16th root of a sigmoid of low rank."""
    q, k, v = (x @ head_of(cell.weight_ih, number, head, cell.heads).T for number in range(3))
    gate = (x @ cell.weight_down.T) @ head_of(cell.weight_up, 0, head, cell.heads).T
    alpha = torch.sigmoid(gate + (0 if cell.bias is None else head_of(cell.bias, 0, head, cell.heads))) ** (1 / 16)
    s = alpha[:, :, None] * s + k[:, :, None] * v[:, None, :]
    return torch.einsum("bk,bkv->bv", q, s) / k.shape[1] ** 0.5, s


def hgrn2(cell, x, s, head):
    """The recurrence of Qin et al., 2024, with a lower bound of 0: the keys are 1 - f."""
    q, f, v = (x @ head_of(cell.weight_ih, number, head, cell.heads).T for number in range(3))
    f = torch.sigmoid(f + (0 if cell.bias is None else head_of(cell.bias, 0, head, cell.heads)))
    q = q * torch.sigmoid(q)
    s = f[:, :, None] * s + (1 - f)[:, :, None] * v[:, None, :]
    return torch.einsum("bk,bkv->bv", q, s) / f.shape[1] ** 0.5, s


OF_HEAD = {"none": linear_attention, "head": retention, "feature": gated_linear_attention, "tied": hgrn2}


def formula(cell, x, state):
    """Compute each head by itself."""
    heads = [OF_HEAD[cell.decay](cell, x, state[0][:, head], head) for head in range(cell.heads)]
    outputs, states = zip(*heads, strict=True)
    return torch.cat(outputs, -1), (torch.stack(states, 1),)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("decay", OF_HEAD)
def test_gla_equals_the_formulas_of_the_papers(decay, heads, bias):
    assert_equals_formula("gla", formula, bias=bias, options={"decay": decay, "heads": heads})


def test_linear_attention_is_a_weighted_mean_of_the_values():
    """With equal keys the weights are equal."""
    backbone = backbone_of("gla", options={"decay": "none"})
    with torch.no_grad():
        backbone.cells[0].weight_ih.chunk(3)[1].zero_()
    x = torch.randn(BATCH, 40, 4, dtype=torch.float64)
    values = x @ backbone.cells[0].weight_ih.chunk(3)[2].T
    means = values.cumsum(1) / torch.arange(1, 41)[:, None]
    torch.testing.assert_close(backbone(x)[0], means)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_attention_of_very_small_keys_and_queries_is_finite(dtype):
    cell = cell_of("gla", options={"decay": "none"}).to(dtype)
    with torch.no_grad():
        cell.weight_ih[: 2 * HIDDEN_SIZE] = -500
    output, _ = cell(torch.ones(2, 4, dtype=dtype), None)
    output.sum().backward()
    assert output.isfinite().all()
    assert cell.weight_ih.grad.isfinite().all()


@pytest.mark.parametrize("decay", ["feature", "tied"])
def test_the_forget_bias_is_that_of_the_decays(decay):
    cell = cell_of("gla", options={"decay": decay, "forget_bias": 2.0})
    log_decay = cell.coefficients(torch.zeros(3, 4, dtype=torch.float64))[3]
    torch.testing.assert_close(log_decay.exp(), torch.sigmoid(torch.full_like(log_decay, 2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 4}, "heads=4 does not divide hidden_size=6"),
        ({"decay": "head", "forget_bias": 1.0}, "decay='head' has no gate"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RecurrentSpec(kind="gla", input_size=4, hidden_size=6, options=options)


def test_parameters_start_as_in_torch():
    cell = cell_of("gla", input_size=50, hidden_size=400)
    for parameter in cell.parameters():  # uniform in +-1 / 20
        assert parameter.abs().max() <= 0.05
        assert abs(parameter.std() * 20 * 3**0.5 - 1) < 0.1
