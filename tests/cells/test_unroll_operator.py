"""The operator `rnnkit::unroll`: its gradients, and what it keeps for the backward."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit.cells import operator_graph
from rnnkit_builtin._unroll_operator import unroll, unroll_backward

LENGTHS = torch.tensor([5, 0, 3])
RESTARTS = torch.tensor([[0, 1, 1], [0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 1, 0]], dtype=torch.bool)
KERNELS = {"rnn_tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
kernels = pytest.mark.parametrize("kernel", KERNELS)
with_or_without_lengths = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no_lengths", "lengths"])


def network(kernel, **changes):
    return KERNELS[kernel](4, 6, 2, bidirectional=True, dtype=torch.float64, **changes)


def arguments(rnn, kernel, lengths, *, restarts=None, save=True):
    x = torch.randn(5, 3, 4, dtype=torch.float64, requires_grad=True)
    sizes = [rnn.proj_size or 6, 6] if kernel == "lstm" else [6]
    state = [torch.randn(4, 3, size, dtype=torch.float64, requires_grad=True) for size in sizes]
    return [kernel, x, state, list(rnn.parameters()), lengths, restarts, 2, rnn.bias, True, save]


def inputs_of(arguments):
    _, x, state, weights, *_ = arguments
    return [x, *state, *weights]


def run_alone(rnn, x, state, lengths):
    """Return output and final state of torch's module, each sequence run alone without its padding."""
    results = [run_sequence(rnn, x, state, i, int(end)) for i, end in enumerate(lengths)]
    return [torch.cat(parts, dim=1) for parts in zip(*results, strict=True)]


def run_sequence(rnn, x, state, index, end):
    initial = [part[:, index : index + 1] for part in state]
    if end == 0:
        return [x.new_zeros(len(x), 1, 2 * (rnn.proj_size or 6)), *initial]
    output, final = rnn(x[:end, index : index + 1], tuple(initial) if len(initial) > 1 else initial[0])
    padding = output.new_zeros(len(x) - end, 1, output.shape[-1])
    return [torch.cat([output, padding]), *(final if isinstance(final, tuple) else [final])]


def gradients(outputs, inputs):
    total = sum((part * torch.linspace(0.5, 1, part.numel()).reshape(part.shape)).sum() for part in outputs)
    return torch.autograd.grad(total, inputs)


@kernels
@with_or_without_lengths
@pytest.mark.parametrize("save", [False, True], ids=["computed_again", "saved"])
@pytest.mark.parametrize("changes", [{}, {"bias": False}], ids=["bias", "no_bias"])
def test_equals_torchs_module(kernel, lengths, save, changes):
    rnn = network(kernel, **changes)
    given = arguments(rnn, kernel, lengths, save=save)
    outputs = unroll(*given)[: 1 + len(given[2])]
    expected = run_alone(rnn, given[1], given[2], torch.full((3,), 5) if lengths is None else lengths)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(gradients(outputs, inputs_of(given)), gradients(expected, inputs_of(given)))


def test_projection_equals_torchs_module():
    rnn = network("lstm", proj_size=3)
    given = arguments(rnn, "lstm", LENGTHS)
    expected = run_alone(rnn, given[1], given[2], LENGTHS)
    torch.testing.assert_close(unroll(*given)[:3], expected)


@kernels
@with_or_without_lengths
@pytest.mark.parametrize("restarts", [None, RESTARTS], ids=["no_restarts", "restarts"])
def test_torch_accepts_the_operator(kernel, lengths, restarts):
    given = arguments(network(kernel), kernel, lengths, restarts=restarts)
    given[1].requires_grad_(False)  # a backward that does not need all gradients
    assert set(torch.library.opcheck(unroll, given).values()) == {"SUCCESS"}


def test_graph_is_freed_with_the_output():
    before = len(operator_graph._graphs)
    outputs = unroll(*arguments(network("gru"), "gru", None))
    assert len(operator_graph._graphs) == before + 1
    del outputs
    assert len(operator_graph._graphs) == before


def test_graph_is_freed_by_the_backward():
    given = arguments(network("gru"), "gru", None)
    before = len(operator_graph._graphs)
    outputs = unroll(*given)[:2]
    total = outputs[0].square().sum() + outputs[1].sum()
    first = torch.autograd.grad(total, inputs_of(given), retain_graph=True)
    assert len(operator_graph._graphs) == before
    torch.testing.assert_close(torch.autograd.grad(total, inputs_of(given)), first)


def backward(given, saved):
    """Return the gradients of a call without autograd, as compiled code runs it."""
    kernel, x, state, weights, lengths, restarts, *settings, _ = given
    upstream = [torch.ones(5, 3, 12, dtype=torch.float64), *map(torch.ones_like, state)]
    needed = [True] * (1 + len(state) + len(weights))
    return unroll_backward(upstream, saved, needed, kernel, x, state, weights, lengths, restarts, *settings)


@torch.no_grad()
@kernels
def test_backward_of_a_copied_graph_computes_it_again(kernel):
    given = arguments(network(kernel), kernel, LENGTHS)
    *_, saved = unroll(*given)
    torch.testing.assert_close(backward(given, [saved.clone()]), backward(given, [saved]), rtol=0, atol=1e-12)


@torch.no_grad()
@kernels
@with_or_without_lengths
def test_tensors_that_a_compiler_overwrites_do_not_matter(kernel, lengths):
    given = arguments(network(kernel), kernel, lengths)
    expected = backward(given, [])
    *outputs, saved = unroll(*given)
    for tensor in [*outputs, given[1], *given[2]]:
        tensor.data.fill_(torch.nan)
    torch.testing.assert_close(backward(given, [saved]), expected)


class Passive(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


@kernels
def test_gradients_inside_a_dispatch_mode(kernel):
    given = arguments(network(kernel), kernel, LENGTHS)
    expected = gradients(unroll(*given)[:2], inputs_of(given)[:1])
    with Passive():
        actual = gradients(unroll(*given)[:2], inputs_of(given)[:1])
    torch.testing.assert_close(actual, expected)


def test_second_derivatives_are_refused():
    given = arguments(network("gru"), "gru", None)
    (gradient,) = torch.autograd.grad(unroll(*given)[0].square().sum(), given[1], create_graph=True)
    with pytest.raises(RuntimeError, match="call the model without"):
        gradient.sum().backward()
