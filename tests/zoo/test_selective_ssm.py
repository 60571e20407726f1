"""`selective_ssm` computes the equations of Gu and Dao, 2023 (arXiv 2312.00752)."""

import math

import pytest
import torch
from torch.nn import functional as F

from rnnkit_builtin.linear import selective_ssm
from tests.helpers.zoo import assert_equals_formula, assert_equals_whole_sequences, backbone_of, cell_of


def formula(cell, x, state):
    return scan_step(cell, x @ cell.weight_ih.T, state)


def scan_step(cell, u, state):
    """Algorithm 2 of the paper, for one state after another, with Euler's method for the input."""
    size, rank = cell.state_size, cell.rank
    selected = u @ cell.weight_selection.T
    pre = selected[:, :rank] @ cell.weight_step.T + (0 if cell.bias is None else cell.bias)
    delta = torch.log(1 + torch.exp(pre))
    states, y = [], cell.weight_skip * u
    for n in range(size):
        b, c = selected[:, rank + n, None], selected[:, rank + size + n, None]
        decay = torch.exp(-delta * torch.exp(cell.log_decay[:, n]))
        states.append(decay * state[0][:, :, n] + delta * b * u)
        y = y + c * states[-1]
    return y, (torch.stack(states, -1),)


def convolved_formula(cell, x, state):
    """Figure 3 of the paper without the gate: a depthwise convolution and a SiLU before the scan."""
    h, tail = state
    window = torch.cat([tail, (x @ cell.weight_ih.T)[:, None]], 1)
    v = torch.einsum("btf,ft->bf", window, cell.convolution.weight[:, 0])
    if cell.convolution.bias is not None:
        v = v + cell.convolution.bias
    y, (h,) = scan_step(cell, v * torch.sigmoid(v), (h,))
    return y, (h, window[:, 1:])


def convolved_sequence(cell, x):
    """One sequence, by torch's convolution with zeros before it."""
    convolution = cell.convolution
    padded = F.pad((x @ cell.weight_ih.T).T, (convolution.weight.shape[-1] - 1, 0))
    u = F.silu(F.conv1d(padded[None], convolution.weight, convolution.bias, groups=len(padded)))[0].T
    state, outputs = (torch.zeros(1, cell.hidden_size, cell.state_size, dtype=x.dtype),), []
    for u_t in u:
        y_t, state = scan_step(cell, u_t[None], state)
        outputs.append(y_t)
    return torch.cat(outputs)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [{}, {"state_size": 1}, {"state_size": 3, "rank": 2}])
def test_selective_ssm_equals_the_formula_of_its_paper(options, bias):
    assert_equals_formula("selective_ssm", formula, bias=bias, options=options)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("conv", [2, 4])
def test_a_convolution_equals_its_formula(conv, bias):
    options = {"conv": conv, "state_size": 3, "rank": 2}
    assert_equals_formula("selective_ssm", convolved_formula, bias=bias, options=options)
    assert_equals_whole_sequences("selective_ssm", convolved_sequence, bias=bias, options=options)


def test_a_convolution_is_longer_than_the_sequence():
    assert_equals_whole_sequences("selective_ssm", convolved_sequence, options={"conv": 11, "state_size": 3})


def test_a_convolution_is_that_of_a_cell_of_its_own():
    with pytest.raises(ValueError, match="conv=4 requires ConvolvedSelectiveSSMCell"):
        selective_ssm.SelectiveSSMCell(4, 6, conv=4)


@pytest.mark.parametrize("conv", [None, 3])
@pytest.mark.parametrize("lengths", [None, [40, 1, 17, 0]])
def test_chunks_equal_one_pass(lengths, conv, monkeypatch):
    """With gradients of gradients, and lengths that end inside a chunk, at its end and at its start."""
    backbone = backbone_of("selective_ssm", options={"state_size": 2, "conv": conv})
    x = torch.randn(4, 40, 4, dtype=torch.float64, requires_grad=True)
    lengths = None if lengths is None else torch.tensor(lengths)

    def run():
        output, (final,) = backbone(x, lengths=lengths)
        loss = output.square().sum() + final.h.pow(3).sum()
        first = torch.autograd.grad(loss, [x, *backbone.parameters()], create_graph=True)
        return output, final.h, first, torch.autograd.grad(sum(each.square().sum() for each in first), x)

    expected = run()
    monkeypatch.setattr(selective_ssm, "_CHUNK", 1)  # chunks of 16 steps
    torch.testing.assert_close(run(), expected)
    assert backbone.executor == "unroll"


def test_only_the_states_of_a_chunk_are_kept_for_the_backward_pass(monkeypatch):
    monkeypatch.setattr(selective_ssm, "_CHUNK", 1)
    backbone, kept = backbone_of("selective_ssm", options={"state_size": 64}), []

    def pack(tensor):
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        _, (final,) = backbone(torch.randn(1, 320, 4, dtype=torch.float64))
    assert kept
    assert max(kept) < 320 * 6 * 64 / 2
    assert final.h.untyped_storage().nbytes() == final.h.nbytes  # as that of each chunk, not a view of all its states


def test_parameters_start_as_in_the_code_of_the_authors():
    cell = cell_of("selective_ssm", input_size=4, hidden_size=1600)
    torch.testing.assert_close(torch.exp(cell.log_decay), torch.arange(1.0, 17).double().expand(1600, 16))
    assert (cell.weight_skip == 1).all()
    assert cell.rank == 100
    assert cell.weight_step.abs().max() <= 0.1
    assert abs(cell.weight_step.std() * 10 * math.sqrt(3) - 1) < 0.02
    share = torch.log(torch.nn.functional.softplus(cell.bias) / 0.001) / math.log(100)  # of the step sizes
    expected = torch.linspace(0, 1, 1600, dtype=torch.float64)
    torch.testing.assert_close(share.sort().values, expected, rtol=0, atol=0.05)
