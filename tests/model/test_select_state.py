"""Selecting sequences of a state, and merging its directions."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnkit import Backbone, InputError, RecurrentSpec, StepError, map_state
from tests.helpers.models import BATCH, leaves, random_state, small_input, small_model


def assert_same(results, expected):
    for result, other in zip(leaves(results), leaves(expected), strict=True):
        torch.testing.assert_close(result, other, rtol=1e-12, atol=1e-14)


def test_state_is_required(kind):
    with pytest.raises(InputError, match=r"state must be a state that .* or initial_state\(batch_size\), but is None"):
        small_model(kind).select_state(None, [0])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("index", [[2, 0, 2, 1, 3], [3], [], [False, True, False, True]], ids=str)
def test_selected_sequences_continue_as_before(kind, index, bidirectional):
    model, x = small_model(kind, bidirectional=bidirectional), small_input()
    state = random_state(model)
    chosen = torch.tensor(index, dtype=None if index else torch.int64)
    positions = torch.arange(BATCH)[chosen]
    expected = model(x, state)[positions]
    for given in (index, chosen, tuple(index), chosen.numpy(), list(chosen.numpy())):
        selected = model.select_state(state, given)
        assert type(selected) is type(state)
        assert_same(model(x[positions], selected), expected)


def test_gradients_reach_the_selected_sequences(kind):
    model = small_model(kind)
    state = map_state(lambda part: part.requires_grad_(), random_state(model))
    sum(part.sum() for part in leaves(model.select_state(state, [1, 1, 3]))).backward()
    counts = map_state(lambda part: part.grad, state)
    assert [part.unique().tolist() for part in leaves(model.select_state(counts, [0]))] == [[0]] * len(leaves(state))
    assert [part.unique().tolist() for part in leaves(model.select_state(counts, [1]))] == [[2]] * len(leaves(state))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([0, 4], "Each index must be between 0 and 3, as the state has 4 sequences, but they range from 0 to 4"),
        ([-1], "Each index must be between 0 and 3, as the state has 4 sequences, but they range from -1 to -1"),
        ([True, False], "A bool index must have the shape (batch,) = (4,), but has (2,)"),
        ([True, 0, 1, 0], "but is [True, 0, 1, 0]"),
        ([0.5], "but is [0.5]"),
        ([2**63], "but is [9223372036854775808]"),
        (np.array([0.5]), "but is a NumPy array of float64 and shape (1,)"),
        (1, "but is 1"),
        (torch.tensor(1), "but is a torch.int64 tensor of shape ()"),
        (torch.tensor([1.0]), "but is a torch.float32 tensor of shape (1,)"),
        (torch.tensor([[1]]), "but is a torch.int64 tensor of shape (1, 1)"),
    ],
    ids=str,
)
def test_wrong_indices_are_refused(index, message):
    model = small_model("lstm")
    with pytest.raises(InputError) as caught:
        model.select_state(random_state(model), index)
    assert str(caught.value).endswith(message)


def test_wrong_states_are_refused(kind):
    model = small_model(kind)
    state = random_state(model)
    for wrong in (list(state), state[:-1] if len(state) > 1 else (), map_state(lambda part: part[..., :-1], state), 3):
        with pytest.raises(InputError, match=r"^state"):
            model.select_state(wrong, [0])


class Counting(NamedTuple):
    h: Tensor
    steps: Tensor
    shared: Tensor


class Counter(Backbone):
    """A backbone with integers and with a part that has no batch axis in its state."""

    def state_shapes(self, batch_size):
        return Counting(
            torch.Size((self.directions, batch_size, 2)), torch.Size((self.directions, batch_size)), torch.Size((2, 5))
        )

    def run(self, x, state, lengths):
        raise NotImplementedError

    def split_directions(self, state):
        return tuple(Counting(state.h[i : i + 1], state.steps[i : i + 1], state.shared) for i in range(2))


def counter(**changes):
    spec = RecurrentSpec(kind="gru", input_size=3, hidden_size=2, **changes)
    return Counter(spec, features=2 * spec.directions)


def test_parts_without_a_batch_axis_stay():
    state = Counting(torch.randn(1, 3, 2), torch.tensor([[1, 2, 3]]), torch.randn(2, 5))
    selected = counter().select_state(state, [2, 2])
    assert selected.steps.tolist() == [[3, 3]]
    assert selected.shared is state.shared


def test_state_without_any_batch_axis_stays():
    class Shared(Counter):
        def state_shapes(self, batch_size):
            return (torch.Size((3,)),)

    state = (torch.randn(3),)
    spec = RecurrentSpec(kind="gru", input_size=3, hidden_size=2)
    assert Shared(spec, features=2).select_state(state, [0, 7]) == state


MERGED = {
    "concat": lambda forward, reverse: torch.cat([forward, reverse], -1),
    "sum": lambda forward, reverse: forward + reverse,
    "mean": lambda forward, reverse: torch.stack([forward, reverse]).mean(0),
}


@pytest.mark.parametrize("mode", MERGED)
def test_decoder_accepts_the_merged_state_of_an_encoder(kind, mode):
    encoder = small_model(kind, bidirectional=True)
    decoder = small_model(kind, hidden_size=12 if mode == "concat" else 6)
    _, state = encoder(small_input(), return_state=True)
    merged = encoder.merge_directions(state, mode)
    assert decoder(small_input(), merged).shape == (BATCH, 2)
    layout = decoder.initial_state(BATCH)
    assert type(merged) is type(layout)
    assert [type(part) for part in merged] == [type(part) for part in layout]
    for layer in range(2):
        for part, of_encoder in zip(layer_parts(merged, layer), zip(*both(state, layer), strict=True), strict=True):
            torch.testing.assert_close(part, MERGED[mode](*of_encoder))


def layer_parts(state, index):
    """Return the tensors of one layer and direction of a state, `(batch, features)` each."""
    return list(state[index]) if isinstance(state[0], tuple) else [part[index] for part in state]


def both(state, layer):
    return layer_parts(state, 2 * layer), layer_parts(state, 2 * layer + 1)


def test_default_mode_concatenates():
    encoder = small_model("gru_cell", bidirectional=True)
    state = random_state(encoder)
    assert_same(encoder.merge_directions(state), encoder.merge_directions(state, "concat"))


def test_integers_are_those_of_the_forward_direction():
    state = Counting(torch.randn(2, 3, 2), torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.randn(2, 5))
    merged = counter(bidirectional=True).merge_directions(state, "sum")
    assert merged.steps.tolist() == [[1, 2, 3]]


def test_what_cannot_be_merged_is_refused(kind):
    one, two = small_model(kind), small_model(kind, bidirectional=True)
    with pytest.raises(StepError, match="bidirectional=False in its spec"):
        one.merge_directions(random_state(one))
    with pytest.raises(InputError, match="mode must be one of 'concat', 'sum', 'mean', but is 'max'"):
        two.merge_directions(random_state(two), "max")
    with pytest.raises(InputError, match=r"^state"):
        two.merge_directions(random_state(one))


def test_backbones_that_do_not_split_their_state_are_named():
    class Whole(Counter):
        split_directions = Backbone.split_directions

    spec = RecurrentSpec(kind="gru", input_size=3, hidden_size=2, bidirectional=True)
    backbone = Whole(spec, features=4)
    state = Counting(torch.randn(2, 3, 2), torch.zeros(2, 3, dtype=torch.int64), torch.randn(2, 5))
    with pytest.raises(StepError, match="Whole does not define split_directions"):
        backbone.merge_directions(state)
