"""`matrix_scan` computes the recurrence of a matrix step by step in float64, with gradients of any order."""

import pytest
import torch
from torch.nn import functional as F

from rnnkit import matrix_scan

# one step, a part of a chunk, one chunk, and several with a part
TIMES = [1, 5, 32, 75]
BY_FEATURE = pytest.mark.parametrize("by_feature", [False, True], ids=["head", "feature"])
DELTA = pytest.mark.parametrize("delta", [False, True], ids=["plain", "delta"])


def inputs_of(time, *, by_feature=False, delta=False, scale=3.0, shift=0.0, batch=2, heads=2, size=3):
    """Return q, k, v, log_decay, s0 and beta. The decays are the sigmoids of normal values."""
    generator = torch.Generator().manual_seed(time)

    def random(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    q, k, v = random(3, time, batch, heads, size).unbind()
    decay = F.logsigmoid(scale * random(time, batch, heads, size if by_feature else 1) + shift)
    beta = 2 * torch.sigmoid(random(time, batch, heads, 1))
    inputs = [q, F.normalize(k, dim=-1) if delta else k, v, decay, random(batch, heads, size, size)]
    return [each.requires_grad_() for each in [*inputs, *([beta] if delta else [])]]


def run(q, k, v, log_decay, s0, beta=None, lengths=None):
    return matrix_scan(q, k, v, log_decay, s0, beta=beta, lengths=lengths)


def step_by_step(q, k, v, log_decay, s, beta=None):
    """Return the output and the state of every step, each from the definition."""
    outputs, states = [], []
    for t in range(len(q)):
        s = torch.einsum("bhk,bhkv->bhkv", log_decay[t].exp().expand_as(k[t]), s)
        change = v[t] if beta is None else beta[t] * (v[t] - torch.einsum("bhk,bhkv->bhv", k[t], s))
        s = s + torch.einsum("bhk,bhv->bhkv", k[t], change)
        outputs.append(torch.einsum("bhk,bhkv->bhv", q[t], s))
        states.append(s)
    return torch.stack(outputs), torch.stack(states)


def gradients(y, s, inputs):
    return torch.autograd.grad(y.square().sum() + s.square().sum(), inputs)


@DELTA
@BY_FEATURE
@pytest.mark.parametrize("time", TIMES)
def test_outputs_states_and_gradients(time, by_feature, delta):
    inputs = inputs_of(time, by_feature=by_feature, delta=delta)
    y, s = run(*inputs)
    expected, states = step_by_step(*inputs)
    torch.testing.assert_close((y, s), (expected, states[-1]))
    torch.testing.assert_close(gradients(y, s, inputs), gradients(expected, states[-1], inputs))


@DELTA
@BY_FEATURE
def test_final_states_at_the_lengths(by_feature, delta):
    inputs = inputs_of(70, by_feature=by_feature, delta=delta)
    lengths = torch.tensor([1, 45])
    y, s = run(*inputs, lengths=lengths)
    expected, states = step_by_step(*inputs)
    torch.testing.assert_close(s, states[lengths - 1, torch.arange(2)])
    torch.testing.assert_close(y[:1], expected[:1])
    torch.testing.assert_close(y[:45, 1], expected[:45, 1])


@DELTA
@BY_FEATURE
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_values_past_the_lengths_have_no_effect(value, by_feature, delta):
    lengths = torch.tensor([5, 40])
    padding = torch.arange(45)[:, None] >= lengths
    clean = inputs_of(45, by_feature=by_feature, delta=delta)
    padded = [each.detach().clone() for each in clean]
    for each in (*padded[:4], *padded[5:]):  # all but the initial state
        each[padding] = value
    padded = [each.requires_grad_() for each in padded]
    (y, s), (expected, expected_s) = run(*padded, lengths=lengths), run(*clean, lengths=lengths)
    torch.testing.assert_close(y[~padding], expected[~padding])
    torch.testing.assert_close(s, expected_s)
    torch.testing.assert_close(
        gradients(y[~padding], s, padded), gradients(expected[~padding], expected_s, clean), rtol=1e-9, atol=1e-9
    )


def test_decays_of_zero_past_the_lengths_have_no_effect():
    q, k, v, log_decay, s0 = (each.detach() for each in inputs_of(40))
    lengths = torch.tensor([12, 40])
    _, expected = run(q, k, v, log_decay, s0, lengths=lengths)
    log_decay[12:, 0] = -torch.inf
    torch.testing.assert_close(run(q, k, v, log_decay, s0, lengths=lengths)[1], expected)


@DELTA
@BY_FEATURE
def test_gradients_of_gradients(by_feature, delta):
    inputs = inputs_of(3, by_feature=by_feature, delta=delta, batch=1, heads=1, size=2)
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@DELTA
@BY_FEATURE
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 6.0), (20.0, -10.0)], ids=["slow", "fast"])
def test_long_sequences_in_single_precision(scale, shift, by_feature, delta):
    """With slow decays the state is a sum over all steps; fast decays underflow within a chunk."""
    double = inputs_of(512, by_feature=by_feature, delta=delta, scale=scale, shift=shift, batch=1, heads=1, size=4)
    results = []
    for dtype, compute in ((torch.float32, run), (torch.float64, step_by_step)):
        inputs = [each.detach().to(dtype).requires_grad_() for each in double]
        y, s = compute(*inputs)
        s = s if compute is run else s[-1]
        results.append((y, s, *gradients(y, s, inputs)))
    for single, expected in zip(*results, strict=True):
        assert (single - expected).abs().max() < 1e-5 * expected.abs().max()


@BY_FEATURE
def test_decays_that_underflow_at_one_step(by_feature):
    """A decay of zero separates the steps after it from those before, in values and gradients."""
    q, k, v, log_decay, s0 = inputs_of(40, by_feature=by_feature)
    log_decay = log_decay.detach().index_fill(0, torch.tensor([7, 33]), -1e4).requires_grad_()
    inputs = [q, k, v, log_decay, s0]
    y, s = run(*inputs)
    expected, states = step_by_step(*inputs)
    torch.testing.assert_close((y, s), (expected, states[-1]))
    torch.testing.assert_close(gradients(y, s, inputs), gradients(expected, states[-1], inputs))


@BY_FEATURE
def test_a_sum_over_all_steps_in_closed_form(by_feature):
    """Without decay the state is a sum of outer products."""
    q, k, v, log_decay, s0 = inputs_of(75, by_feature=by_feature)
    _, s = run(q, k, v, torch.zeros_like(log_decay), s0)
    torch.testing.assert_close(s, s0 + torch.einsum("tbhk,tbhv->bhkv", k, v))
