"""`selective_ssm` computes the equations of Gu and Dao, 2023 (arXiv 2312.00752)."""

import math

import pytest
import torch

from rnnkit_builtin.linear import selective_ssm
from tests.helpers.zoo import assert_equals_formula, backbone_of, cell_of


def formula(cell, x, state):
    """Algorithm 2 of the paper, for one state after another, with Euler's method for the input."""
    size, rank = cell.state_size, cell.rank
    u = x @ cell.weight_ih.T
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


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [{}, {"state_size": 1}, {"state_size": 3, "rank": 2}])
def test_selective_ssm_equals_the_formula_of_its_paper(options, bias):
    assert_equals_formula("selective_ssm", formula, bias=bias, options=options)


@pytest.mark.parametrize("lengths", [None, [40, 1, 17, 0]])
def test_chunks_equal_one_pass(lengths, monkeypatch):
    """With gradients of gradients, and lengths that end inside a chunk, at its end and at its start."""
    backbone = backbone_of("selective_ssm", options={"state_size": 2})
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
