"""The kinds `rnn`, `gru` and `lstm` run by rnnkit-kernels equal torch's modules, in float64."""

from itertools import product
from threading import Thread

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.helpers.models import leaves, random_state, small_model, total

TIME = 34  # the fewest steps of `rnn` are 32
LENGTHS = torch.tensor([5, TIME, 0, 20, 0])
NO_STEPS = torch.zeros(5, dtype=torch.int64)
KINDS = [
    ("rnn", {}),
    ("rnn", {"nonlinearity": "relu"}),
    ("gru", {}),
    ("lstm", {}),
    ("lstm", {"proj_size": 4}),
]
TOLERANCE = {"rtol": 1e-10, "atol": 1e-11}


@pytest.fixture(autouse=True)
def _only_kernels(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "kernels")


def long_input(*, batch_first=True):
    shape = (len(LENGTHS), TIME, 3) if batch_first else (TIME, len(LENGTHS), 3)
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def by_torch(model, x, state, lengths):
    """Call the module of the model as a user of torch does: sequences of length 0 left out."""
    rnn, axis = model.backbone.rnn, 0 if model.spec.batch_first else 1
    state = model.initial_state(x.shape[axis]) if state is None else state
    if lengths is None:
        output, final = rnn(x, argument(state))
        return output, [final] if isinstance(final, torch.Tensor) else list(final)
    kept = lengths.nonzero().squeeze(1)
    inputs = x.index_select(axis, kept), argument([part.index_select(1, kept) for part in state]), lengths[kept]
    output, final = packed(rnn, *inputs, batch_first=model.spec.batch_first)
    sizes = list(x.shape[:2])
    whole = x.new_zeros(*sizes, output.shape[-1]).index_add(axis, kept, output)
    final = [final] if isinstance(final, torch.Tensor) else final
    return whole, [old.index_copy(1, kept, new) for old, new in zip(state, final, strict=True)]


def argument(state):
    parts = tuple(state)
    return parts[0] if len(parts) == 1 else parts


def packed(rnn, x, state, lengths, *, batch_first):
    sequence = pack_padded_sequence(x, lengths, batch_first=batch_first, enforce_sorted=False)
    output, final = rnn(sequence, state)
    return pad_packed_sequence(output, batch_first=batch_first, total_length=TIME)[0], final


def gradients(output, final, inputs):
    return torch.autograd.grad(total(output, final), inputs, allow_unused=True, materialize_grads=True)


COMBINATIONS = list(product([True, False], [True, False], [None, LENGTHS], [True, False]))


@pytest.mark.parametrize(("name", "options"), KINDS)
@pytest.mark.parametrize(("batch_first", "bidirectional", "lengths", "with_state"), COMBINATIONS)
def test_kinds_equal_modules_of_torch(name, options, batch_first, bidirectional, lengths, with_state):
    model = small_model(name, batch_first=batch_first, bidirectional=bidirectional, options=options)
    x, state = long_input(batch_first=batch_first), None
    if with_state:
        state = random_state(model, batch=len(LENGTHS))
        state = type(state)(*[part.requires_grad_() for part in state])
    found = model.backbone(x, state, lengths=lengths)
    assert model.backbone.executor == "kernels"
    expected = by_torch(model, x, state, lengths)
    torch.testing.assert_close([found[0], *found[1]], [expected[0], *expected[1]], **TOLERANCE)
    inputs = [x, *(state or ()), *model.backbone.parameters()]
    torch.testing.assert_close(gradients(*found, inputs), gradients(*expected, inputs), **TOLERANCE)


@pytest.mark.parametrize(("name", "options"), KINDS)
@pytest.mark.parametrize("changes", [{"bias": False}, {"num_layers": 1}, {"num_layers": 3, "dropout": 0.5}])
def test_other_specs_equal_modules_of_torch(name, options, changes):
    """Dropout draws the numbers that torch draws, if there are no lengths."""
    model, x = small_model(name, options=options, bidirectional=True, **changes), long_input()
    torch.manual_seed(0)
    found = model.backbone(x)
    assert model.backbone.executor == "kernels"
    torch.manual_seed(0)
    expected = by_torch(model, x, None, None)
    torch.testing.assert_close([found[0], *found[1]], [expected[0], *expected[1]], **TOLERANCE)


@pytest.mark.parametrize(("name", "options"), KINDS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inference_equals_modules_of_torch(name, options, mode):
    model = small_model(name, options=options, bidirectional=True)
    with mode():
        x = torch.randn(5, TIME, 3, dtype=torch.float64)
        found, expected = model.backbone(x, lengths=LENGTHS), by_torch(model, x, None, LENGTHS)
    assert model.backbone.executor == "kernels"
    torch.testing.assert_close([found[0], *found[1]], [expected[0], *expected[1]], **TOLERANCE)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_an_empty_batch(name):
    model = small_model(name, bidirectional=True)
    output, final = model.backbone(long_input()[:0])
    assert model.backbone.executor == "kernels"
    assert output.shape == (0, TIME, 12)
    assert final[0].shape == (4, 0, 6)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_sequences_without_steps_keep_their_state(name):
    model, x = small_model(name, bidirectional=True), long_input()
    state = random_state(model, batch=5)
    output, final = model.backbone(x, state, lengths=NO_STEPS)
    assert model.backbone.executor == "kernels"
    assert not output.any()
    torch.testing.assert_close(leaves(final), leaves(state))


@pytest.mark.parametrize("name", ["rnn_cell", "gru_cell", "lstm_cell"])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_stacks_of_cells_equal_their_own_kernels(name, lengths, monkeypatch):
    model, x = small_model(name, bidirectional=True), long_input()
    found = model.backbone(x, lengths=lengths)
    assert model.backbone.executor == "kernels"
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
    expected = model.backbone(x, lengths=lengths)
    assert model.backbone.executor == "unroll_layers"
    torch.testing.assert_close([found[0], *leaves(found[1])], [expected[0], *leaves(expected[1])], **TOLERANCE)
    inputs = [x, *model.backbone.parameters()]
    torch.testing.assert_close(gradients(*found, inputs), gradients(*expected, inputs), **TOLERANCE)


def test_whole_models_with_restarts_and_states(monkeypatch):
    model, x = small_model("gru"), long_input().detach()
    restarts = torch.zeros(5, TIME, dtype=torch.bool)
    restarts[1:3, 3] = True
    found = model(x, lengths=LENGTHS, restarts=restarts, return_state=True)
    assert model.backbone.executor == "kernels"
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
    expected = model(x, lengths=LENGTHS, restarts=restarts, return_state=True)
    torch.testing.assert_close([found[0], *found[1]], [expected[0], *expected[1]], **TOLERANCE)


def test_second_derivatives_equal_those_of_torch():
    model, x = small_model("gru", num_layers=1), long_input()

    def second(output):
        (first,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), [x, *model.backbone.parameters()])

    found = second(model.backbone(x)[0])
    assert model.backbone.executor == "kernels"
    torch.testing.assert_close(found, second(model.backbone.rnn(x)[0]), rtol=1e-8, atol=1e-9)


def test_threads_share_a_model():
    model, x = small_model("gru"), long_input().detach()
    with torch.no_grad():
        expected, results = model.backbone.rnn(x)[0], {}

        def run(number):
            with torch.no_grad():
                results[number] = model.backbone(x)[0]

        threads = [Thread(target=run, args=(number,)) for number in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    for number in range(8):
        torch.testing.assert_close(results[number], expected, **TOLERANCE)


def test_training_equals_that_of_torch():
    """Ten steps of an optimizer, whose changes in place must be seen."""
    model, x = small_model("gru", readout="all"), long_input().detach()
    other = nn.GRU(3, 6, num_layers=2, batch_first=True, dtype=torch.float64)
    other.load_state_dict(model.backbone.rnn.state_dict())
    losses = []
    for module in (model.backbone, other):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(10):
            optimizer.zero_grad()
            loss = module(x)[0].square().mean()
            loss.backward()
            optimizer.step()
        losses.append(loss.detach())
    assert model.backbone.executor == "kernels"
    torch.testing.assert_close(*losses)
