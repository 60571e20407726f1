"""Restarts inside sequences: each segment gives what it gives alone."""

from itertools import pairwise
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

from docs.site.example_plugin import example_installed
from rnnkit import Backbone, InputError, RecurrentModel, StepError
from tests.helpers.kinds import TESTED
from tests.helpers.models import BATCH, TIME, leaves, random_state, small_input, small_model, small_spec, total

LENGTHS = [5, 2, 0, 3]
RESTARTS = torch.tensor([[0, 1, 0, 0, 1], [1, 0, 0, 1, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 1]], dtype=torch.bool)
NAMES = [*TESTED, "rnnkit-nbrc/nbrc"]  # the kind of the examples, which has no fused path


def build(name, **changes):
    with example_installed():
        return small_model(name, readout="all", **changes)


def segments_alone(model, x, state, lengths, restarts):
    """Return the output and the final states, from a call for each segment of each sequence."""
    outputs, finals = [], []
    for i in range(BATCH):
        end = TIME if lengths is None else lengths[i]
        starts = [0, *[t for t in range(1, end) if restarts[i, t]], end]
        before = None if state is None else model.select_state(state, [i])
        final, parts = model.initial_state(1) if before is None else before, []
        for start, stop in pairwise(starts):
            if stop > start:
                first = before if start == 0 and not restarts[i, 0] else None
                y, final = model(x[i : i + 1, start:stop], first, return_state=True)
                parts.append(y[0])
        padding = torch.zeros(TIME - end, model.readout.linear.out_features, dtype=x.dtype)
        outputs.append(torch.cat([*parts, padding]))
        finals.append(final)
    return torch.stack(outputs), [leaves(final) for final in finals]


def assert_finals(model, final, expected):
    for i, parts in enumerate(expected):
        for part, other in zip(leaves(model.select_state(final, [i])), parts, strict=True):
            torch.testing.assert_close(part, other, rtol=1e-10, atol=1e-12)


def gradients(model, x, y, final):
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.autograd.grad(total(y, final), [x, *learned])


@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_segments_equal_those_alone(name, with_state, with_lengths):
    model, x = build(name), small_input().requires_grad_()
    state = random_state(model) if with_state else None
    lengths = LENGTHS if with_lengths else None
    y, final = model(x, state, lengths, restarts=RESTARTS, return_state=True)
    y_alone, finals = segments_alone(model, x, state, lengths, RESTARTS)
    torch.testing.assert_close(y, y_alone, rtol=1e-10, atol=1e-12)
    assert_finals(model, final, finals)
    by_part = zip(*[leaves(model.select_state(final, [i])) for i in range(BATCH)], strict=True)
    ours = gradients(model, x, y, [part for parts in by_part for part in parts])
    theirs = gradients(model, x, y_alone, [part for parts in zip(*finals, strict=True) for part in parts])
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_no_direction_reads_across_a_restart(name):
    model, x = build(name, bidirectional=True), small_input()
    y, final = model(x, None, LENGTHS, restarts=RESTARTS, return_state=True)
    y_alone, finals = segments_alone(model, x, None, LENGTHS, RESTARTS)
    torch.testing.assert_close(y, y_alone, rtol=1e-10, atol=1e-12)
    assert_finals(model, final, finals)


@pytest.mark.parametrize("changes", [{}, {"bidirectional": True}], ids=["forward", "bidirectional"])
def test_time_first(kind, changes):
    model = small_model(kind, readout="all", **changes)
    time_first = small_model(kind, readout="all", batch_first=False, **changes)
    time_first.load_state_dict(model.state_dict())
    x = small_input()
    y, final = model(x, None, LENGTHS, restarts=RESTARTS, return_state=True)
    y_other, final_other = time_first(x.transpose(0, 1), None, LENGTHS, restarts=RESTARTS.t(), return_state=True)
    torch.testing.assert_close(y_other.transpose(0, 1), y)
    torch.testing.assert_close(leaves(final_other), leaves(final))


def test_restarts_start_from_the_learned_initial_state():
    model, x = small_model("gru_cell", options={"learn_initial_state": True}, readout="all"), small_input()
    with torch.no_grad():
        model.backbone.initial[0]["h"].normal_()
    for state in (None, random_state(model)):
        y, _ = model(x, state, restarts=RESTARTS, return_state=True)
        torch.testing.assert_close(y, segments_alone(model, x, state, None, RESTARTS)[0], rtol=1e-10, atol=1e-12)
    y[1].sum().backward()
    assert model.backbone.initial[0]["h"].grad.abs().min() > 0


@pytest.mark.parametrize("readout", ["last", "mean", "max"])
def test_readouts_see_all_steps(readout):
    model, x = small_model("lstm", readout=readout), small_input()
    every = small_model("lstm", readout="all", output_size=None)
    every.backbone.load_state_dict(model.backbone.state_dict())
    output = every(x, None, LENGTHS, restarts=RESTARTS)
    torch.testing.assert_close(model(x, None, LENGTHS, restarts=RESTARTS), model.readout(output, torch.tensor(LENGTHS)))


def test_restarts_as_a_numpy_array(kind):
    model, x = small_model(kind), small_input()
    torch.testing.assert_close(model(x, restarts=RESTARTS.numpy()), model(x, restarts=RESTARTS))


def test_without_a_restart_nothing_changes(kind):
    model, x = small_model(kind), small_input()
    state = random_state(model)
    expected = model(x, state, LENGTHS, return_state=True)
    found = model(x, state, LENGTHS, restarts=torch.zeros_like(RESTARTS), return_state=True)
    torch.testing.assert_close(leaves(found), leaves(expected))
    # restarts in the padding, and at the first step of a sequence of length 0
    past = torch.arange(TIME) >= torch.tensor(LENGTHS)[:, None]
    found = model(x, state, LENGTHS, restarts=past, return_state=True)
    torch.testing.assert_close(leaves(found), leaves(expected))


def test_restart_at_the_first_step_replaces_the_state(kind):
    model, x = small_model(kind), small_input()
    first = torch.zeros_like(RESTARTS)
    first[:, 0] = True
    found = model(x, random_state(model), restarts=first, return_state=True)
    torch.testing.assert_close(leaves(found), leaves(model(x, return_state=True)))


def test_padding_and_tokens():
    tokens = torch.randint(7, (BATCH, TIME))
    model = small_model("gru", num_embeddings=7, readout="all")
    y = model(
        tokens.masked_fill(torch.arange(TIME) >= torch.tensor(LENGTHS)[:, None], 99), None, LENGTHS, restarts=RESTARTS
    )
    torch.testing.assert_close(y, segments_alone(model, tokens, None, LENGTHS, RESTARTS)[0].to(y), atol=1e-9, rtol=1e-9)
    x = small_input()
    x[1, 2:], x[2], x[3, 3:] = torch.nan, torch.nan, torch.inf
    assert small_model("lstm_cell")(x, None, LENGTHS, restarts=RESTARTS).isfinite().all()


def test_empty_batch():
    assert small_model("lstm")(small_input()[:0], restarts=RESTARTS[:0]).shape == (0, 2)


@pytest.mark.parametrize(
    ("restarts", "found"),
    [
        (RESTARTS.long(), "a torch.int64 tensor of shape (4, 5): convert it, as in restarts.bool()"),
        (RESTARTS[:, 0], "a torch.bool tensor of shape (4,)"),
        (RESTARTS.t(), "a torch.bool tensor of shape (5, 4)"),
    ],
    ids=["integers", "batch_only", "time_first"],
)
def test_wrong_restarts_are_refused(restarts, found):
    with pytest.raises(InputError) as caught:
        small_model("lstm")(small_input(), restarts=restarts)
    assert str(caught.value) == f"restarts must be a torch.bool tensor of shape (batch, time) = (4, 5), but is {found}"


def test_what_has_no_meaning_is_refused():
    x = small_input()
    model = small_model("lstm", bidirectional=True, readout="all")
    with pytest.raises(InputError, match="With restarts and bidirectional=True, state must be None"):
        model(x, random_state(model), restarts=RESTARTS)
    with pytest.raises(StepError, match="restarts requires a readout of each step, such as 'all', but it is 'mean'"):
        small_model("lstm", bidirectional=True, readout="mean")(x, restarts=RESTARTS)
    with pytest.raises(InputError, match="has its own lengths, and no restarts"):
        model(pack_sequence([x[0]]), restarts=RESTARTS)


class Shared(NamedTuple):
    h: Tensor
    steps: Tensor


class Clock(Backbone):
    """A backbone with a part of its state that all sequences share."""

    def state_shapes(self, batch_size):
        return Shared(torch.Size((batch_size, 6)), torch.Size(()))

    def run(self, x, state, lengths):
        raise NotImplementedError


def test_shared_state_is_refused():
    model = small_model("gru")
    clock = Clock(model.spec, features=6)
    clock.register_buffer("one", torch.ones((), dtype=torch.float64))
    with pytest.raises(StepError, match="restarts requires a state whose parts all have a batch axis"):
        RecurrentModel(small_spec("gru"), clock, model.readout)(small_input(), restarts=RESTARTS)
