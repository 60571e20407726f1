"""Operations on states: detach, reset, move, save, restore and map."""

import re
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnkit import (
    Backbone,
    InputError,
    RecurrentModel,
    RecurrentSpec,
    detach_state,
    flatten_state,
    get_kind,
    get_readout,
    map_state,
    move_state,
)
from tests.helpers.kinds import TESTED
from tests.helpers.models import BATCH, TIME, leaves, random_state, small_input, small_model, total

HIDDEN = 6
STACKS = [name for name in TESTED if get_kind(name).sizes_per_layer]
MASK = torch.tensor([True, False, True, False])
stacks = pytest.mark.parametrize("stack", STACKS)
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])


def error_message(call):
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def assert_same(actual, expected):
    """Outputs and states are equal up to rounding in float64."""
    torch.testing.assert_close(leaves(actual), leaves(expected), rtol=1e-9, atol=1e-12)


def assert_identical(actual, expected):
    """Layouts and tensors are equal, bit by bit."""
    assert type(actual) is type(expected)
    if isinstance(expected, Tensor):
        assert actual.dtype == expected.dtype
        assert torch.equal(actual, expected)
    else:
        for ours, theirs in zip(actual, expected, strict=True):
            assert_identical(ours, theirs)


def learning_model(stack, **changes):
    """Return a stack with a random learned initial state."""
    model = small_model(stack, options={"learn_initial_state": True}, **changes)
    with torch.no_grad():
        for parameter in model.backbone.initial.parameters():
            parameter.normal_()
    return model


def of_sequence(state, index):
    """Return the state of one sequence; the batch axis of each part is the last but one."""
    return map_state(lambda part: part.narrow(part.dim() - 2, index, 1), state)


# A state with parts that no installed kind has: without a batch axis, of integers, and nested


class Clock(NamedTuple):
    shared: Tensor
    """Number of steps so far; without a batch axis."""
    steps: Tensor
    """Number of steps of each sequence, `(batch,)`, int64."""


class Memory(NamedTuple):
    trace: tuple[Tensor, Tensor]
    """Sums of the input, `(2, batch, 3)` and `(batch, 3)`."""
    clock: Clock


class Counting(Backbone):
    """Sums its input and counts the steps."""

    def __init__(self):
        super().__init__(RecurrentSpec(kind="gru", input_size=3, hidden_size=3), features=3)
        self.weight = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def state_shapes(self, batch_size: int) -> Any:
        clock = Clock(torch.Size(()), torch.Size((batch_size,)))
        return Memory((torch.Size((2, batch_size, 3)), torch.Size((batch_size, 3))), clock)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        zeros = super().initial_state(batch_size, device=device, dtype=dtype)
        return zeros._replace(clock=map_state(lambda part: part.long(), zeros.clock))

    def run(self, x, state, lengths):
        (pair, last), (shared, steps) = self.initial_state(len(x)) if state is None else state
        time = x.shape[1]
        seen = x.sum(1) * self.weight
        return x, Memory((pair + seen, last + seen), Clock(shared + time, steps + time))


def counted():
    """Return a backbone, and a state of four sequences after some steps."""
    backbone = Counting()
    return backbone, detach_state(backbone(small_input())[1])


# Detaching


@directions
def test_detached_state_has_the_same_values_and_no_graph(kind, bidirectional):
    model = small_model(kind, bidirectional=bidirectional)
    _, state = model(small_input(), return_state=True)
    assert all(part.requires_grad for part in leaves(state))
    detached = detach_state(state)
    assert not any(part.requires_grad or part.grad_fn for part in leaves(detached))
    assert_identical(detached, state)


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "whole"])
def test_backpropagation_ends_at_a_detached_state(kind, cut):
    model = small_model(kind)
    first, second = (part.requires_grad_() for part in small_input().split([2, TIME - 2], dim=1))
    _, state = model(first, return_state=True)
    result = model(second, detach_state(state) if cut else state, return_state=True)
    of_first, of_second = torch.autograd.grad(total(*result), [first, second], allow_unused=True)
    assert of_second.ne(0).any()
    assert (of_first is None) if cut else of_first.ne(0).any()


def test_truncated_bptt_equals_the_gradients_of_separate_pieces(kind):
    model, x = small_model(kind), small_input()
    accumulated, pieces, state = model, [], None
    for piece in x.split(2, dim=1):
        start = None if state is None else detach_state(state)
        pieces.append((piece, start))
        y, state = accumulated(piece, start, return_state=True)
        total(y, ()).backward()
    losses = [total(model(piece, start), ()) for piece, start in pieces]
    parameters = list(model.parameters())
    assert_same([parameter.grad for parameter in parameters], torch.autograd.grad(sum(losses), parameters))


@pytest.mark.parametrize("function", [detach_state, move_state, flatten_state])
@pytest.mark.parametrize(
    ("state", "found"),
    [(None, "None"), ([torch.zeros(2)], "a list"), ((torch.zeros(2), None), "None"), ((1.5,), "a float")],
    ids=["none", "list", "part", "number"],
)
def test_states_that_are_not_tensors_are_refused(function, state, found):
    with pytest.raises(InputError, match=f"as a model returns it, but has {found}$"):
        function(state)


@pytest.mark.parametrize("size", [-1, 2.0, True, "2", None])
def test_initial_state_takes_a_number_of_sequences(kind, size):
    with pytest.raises(InputError, match=re.escape(f"batch_size must be an integer of at least 0, but is {size!r}")):
        small_model(kind).initial_state(size)


# Resetting


@directions
def test_reset_changes_only_the_masked_sequences(kind, bidirectional):
    model = small_model(kind, bidirectional=bidirectional)
    state = random_state(model)
    before = map_state(torch.clone, state)
    reset, start = model.reset_state(state, MASK), model.initial_state(BATCH)
    for index, masked in enumerate(MASK.tolist()):
        assert_identical(of_sequence(reset, index), of_sequence(start if masked else state, index))
    assert_identical(state, before)


@pytest.mark.parametrize("value", [True, False])
def test_reset_of_all_or_no_sequences(kind, value):
    model = small_model(kind)
    state = random_state(model)
    reset = model.reset_state(state, torch.full((BATCH,), value))
    assert_identical(reset, model.initial_state(BATCH) if value else state)


@stacks
@directions
def test_reset_restores_the_learned_initial_state(stack, bidirectional):
    model = learning_model(stack, bidirectional=bidirectional)
    state, start = random_state(model), model.initial_state(BATCH)
    assert all(part.ne(0).all() for part in leaves(start))
    reset = model.reset_state(state, MASK)
    for index, masked in enumerate(MASK.tolist()):
        assert_same(of_sequence(reset, index), of_sequence(start if masked else state, index))


@stacks
def test_learned_initial_state_gets_gradients_through_a_reset(stack):
    model = learning_model(stack)
    state = model.reset_state(random_state(model), MASK)
    learned = list(model.backbone.initial.parameters())
    for gradient in torch.autograd.grad(sum(part.sum() for part in leaves(state)), learned):
        assert gradient.eq(MASK.sum()).all()


def test_reset_keeps_the_dtype_of_the_state(kind):
    model = small_model(kind)
    reset = model.reset_state(move_state(random_state(model), dtype=torch.float32), MASK)
    assert {part.dtype for part in leaves(reset)} == {torch.float32}


def test_parts_without_a_batch_axis_are_not_reset():
    backbone, state = counted()
    (pair, last), clock = backbone.reset_state(state, MASK)
    assert pair.eq(0).all(-1).all(0).tolist() == MASK.tolist()
    assert last.eq(0).all(-1).tolist() == MASK.tolist()
    assert clock.shared.item() == TIME
    assert clock.steps.tolist() == [0, TIME, 0, TIME]
    assert clock.steps.dtype == torch.int64


def test_masks_as_numpy_arrays_reset_states(kind):
    model = small_model(kind)
    state = random_state(model)
    assert_same(model.reset_state(state, MASK.numpy()), model.reset_state(state, MASK))


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        ([True, False, True, False], "a list of 4: convert it, as in torch.tensor(mask)"),
        (
            np.array([1, 0, 1, 0]),
            "a NumPy array of int64 and shape (4,): convert it, as in mask.astype(bool)",
        ),
        (torch.tensor([1, 0, 1, 0]), "a torch.int64 tensor of shape (4,): convert it, as in mask.bool()"),
        (torch.tensor([1.0, 0.0, 1.0, 0.0]), "a torch.float32 tensor of shape (4,): convert it, as in mask.bool()"),
        (torch.tensor([[True], [False], [True], [False]]), "a torch.bool tensor of shape (4, 1)"),
        (torch.tensor(True), "a torch.bool tensor of shape ()"),
        (True, "True"),
        (None, "None"),
    ],
    ids=["list", "numpy", "int", "float", "two_axes", "scalar", "bool", "None"],
)
def test_invalid_mask_is_refused(kind, mask, found):
    model = small_model(kind)
    message = f"mask must be a torch.bool tensor of shape (batch,), but is {found}"
    assert error_message(lambda: model.reset_state(random_state(model), mask)) == message


@pytest.mark.parametrize("count", [BATCH - 1, BATCH + 1, 1, 0])
def test_mask_of_another_batch_size_is_refused(kind, count):
    """A mask of size 1 would broadcast. The message has both sizes."""
    model = small_model(kind)
    message = error_message(lambda: model.reset_state(random_state(model), torch.ones(count, dtype=torch.bool)))
    assert f"{BATCH}, {HIDDEN})" in message
    assert f"{count}, {HIDDEN})" in message


# Streams

ENDS = [(3,), (2, 4), (), (1, 2, 3)]  # for each stream, the steps after which a sequence ends and another begins


def test_batched_streams_equal_separate_sequences(kind):
    model, x = small_model(kind, readout="all"), small_input()
    assert_same(streamed(model, x), separate_sequences(model, x))


@stacks
def test_each_sequence_of_a_stream_starts_from_the_learned_state(stack):
    model, x = learning_model(stack, readout="all"), small_input()
    assert_same(streamed(model, x), separate_sequences(model, x))


def streamed(model, x):
    outputs, state = [], None
    for t in range(TIME):
        y_t, state = model.step(x[:, t], state)
        outputs.append(y_t)
        state = model.reset_state(state, torch.tensor([t + 1 in ends for ends in ENDS]))
    return torch.stack(outputs, dim=1)


def separate_sequences(model, x):
    outputs = []
    for index, ends in enumerate(ENDS):
        pieces = x[index : index + 1].tensor_split(ends, dim=1)
        outputs.append(torch.cat([model(piece) for piece in pieces], dim=1))
    return torch.cat(outputs)


@pytest.mark.parametrize("start", ["None", "given"])
@pytest.mark.parametrize("batch_first", [True, False], ids=["batch_first", "time_first"])
def test_step_and_forward_can_be_mixed(kind, start, batch_first):
    model = small_model(kind, readout="all", batch_first=batch_first)
    state = None if start == "None" else random_state(model)
    x, time = small_input(batch_first=batch_first), 1 if batch_first else 0
    whole = model(x, state, return_state=True)
    y_first, state = model.step(x.select(time, 0), state)
    y_middle, state = model(x.narrow(time, 1, TIME - 2), state, return_state=True)
    y_last, state = model.step(x.select(time, TIME - 1), state)
    assert_same((torch.cat([y_first.unsqueeze(time), y_middle, y_last.unsqueeze(time)], dim=time), state), whole)


# Moving


def test_moved_state_has_the_new_dtype_and_the_same_layout(kind):
    model = small_model(kind)
    state = random_state(model)
    narrow = move_state(state, dtype=torch.float32)
    assert_identical(narrow, map_state(torch.Tensor.float, state))
    x = small_input(dtype=torch.float32)
    assert model.float()(x, narrow).dtype == torch.float32


def test_state_moves_to_another_device(kind):
    """On the meta device, which every machine has."""
    state = random_state(small_model(kind))
    moved = move_state(state, "meta")
    assert type(moved) is type(state)
    assert all(part.is_meta for part in leaves(moved))
    assert [part.shape for part in leaves(moved)] == [part.shape for part in leaves(state)]
    assert {part.dtype for part in leaves(moved)} == {torch.float64}


def test_move_without_arguments_changes_nothing(kind):
    state = random_state(small_model(kind))
    assert_identical(move_state(state), state)


def test_integer_parts_move_and_keep_their_dtype():
    _, state = counted()
    moved = move_state(state, torch.device("meta"), torch.bfloat16)
    assert [part.dtype for part in leaves(moved)] == [torch.bfloat16, torch.bfloat16, torch.int64, torch.int64]
    assert all(part.is_meta for part in leaves(moved))
    narrow = move_state(state, dtype=torch.float32)
    assert torch.equal(narrow.clock.steps, state.clock.steps)
    assert narrow.trace[1].dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64])
def test_states_move_to_floating_point_dtypes_only(kind, dtype):
    state = small_model(kind).initial_state(BATCH)
    message = f"The dtype of a state must be a floating-point one, such as torch.float32, but is {dtype}"
    assert error_message(lambda: move_state(state, dtype=dtype)) == message


def test_gradients_flow_through_a_move(kind):
    model = small_model(kind)
    _, state = model(small_input(), return_state=True)
    moved = move_state(state, dtype=torch.float32)
    gradients = torch.autograd.grad(sum(part.sum() for part in leaves(moved)), list(model.backbone.parameters()))
    assert any(gradient.ne(0).any() for gradient in gradients)


# Saving


def state_to_save(model):
    """Return the state of a forward pass with lengths, including its graph."""
    _, state = model(small_input(), lengths=torch.tensor([5, 2, 0, 3]), return_state=True)
    return state


@directions
def test_state_round_trips_through_torch_save(kind, bidirectional, tmp_path):
    model = small_model(kind, bidirectional=bidirectional)
    state = state_to_save(model)
    torch.save(flatten_state(state), tmp_path / "state.pt")
    restored = model.restore_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_identical(restored, state)
    x = small_input()
    assert_same(model(x, restored), model(x, state))


@directions
@pytest.mark.parametrize("when", ["before", "after"])
def test_state_round_trips_through_safetensors(kind, bidirectional, when, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    model = small_model(kind, bidirectional=bidirectional)
    assert_survives_safetensors(safetensors, model, when, tmp_path)


@stacks
@pytest.mark.parametrize("when", ["before", "after"])
def test_learned_state_round_trips_through_safetensors(stack, when, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    assert_survives_safetensors(safetensors, learning_model(stack), when, tmp_path)


def assert_survives_safetensors(safetensors, model, when, folder):
    state = model.initial_state(BATCH) if when == "before" else state_to_save(model)
    safetensors.save_file(flatten_state(state), folder / "state.safetensors")
    restored = model.restore_state(safetensors.load_file(folder / "state.safetensors"))
    assert_identical(restored, detach_state(state))


@directions
@pytest.mark.parametrize("when", ["before", "after"])
def test_flattened_tensors_are_detached_copies_in_separate_memory(kind, bidirectional, when):
    model = small_model(kind, bidirectional=bidirectional)
    assert_are_copies(model.initial_state(BATCH) if when == "before" else state_to_save(model))


@stacks
def test_flattened_tensors_of_a_learned_state_are_copies(stack):
    assert_are_copies(learning_model(stack).initial_state(BATCH))


def assert_are_copies(state):
    tensors = list(flatten_state(state).values())
    assert not any(tensor.requires_grad for tensor in tensors)
    assert all(tensor.is_contiguous() for tensor in tensors)
    assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in tensors)
    memory = [tensor.untyped_storage().data_ptr() for tensor in [*tensors, *leaves(state)]]
    assert len({*memory[: len(tensors)]} - {*memory[len(tensors) :]}) == len(tensors)


@pytest.mark.parametrize(
    ("built_in", "changes", "paths"),
    [
        ("rnn", {}, ["h_n"]),
        ("lstm", {"bidirectional": True}, ["h_n", "c_n"]),
        ("gru_cell", {"bidirectional": True}, ["0.h", "1.h", "2.h", "3.h"]),
        ("lstm_cell", {}, ["0.h", "0.c", "1.h", "1.c"]),
        ("mixed", {}, ["0.h", "0.c", "1.h"]),
    ],
)
def test_flattened_tensors_have_their_paths(built_in, changes, paths):
    assert list(flatten_state(small_model(built_in, **changes).initial_state(2))) == paths


def test_nested_state_with_a_shared_part_is_restored():
    backbone, state = counted()
    tensors = flatten_state(state)
    assert list(tensors) == ["trace.0", "trace.1", "clock.shared", "clock.steps"]
    assert_identical(backbone.restore_state(dict(reversed(tensors.items()))), state)


def test_model_and_backbone_restore_the_same_state():
    backbone, state = counted()
    spec = RecurrentSpec(kind="gru", input_size=3, hidden_size=3)
    model = RecurrentModel(spec, backbone, get_readout("last")(spec, backbone.features))
    assert_identical(model.restore_state(flatten_state(state)), state)


@pytest.mark.parametrize("batch", [0, 1, 7])
def test_states_of_any_batch_size_are_restored(kind, batch):
    model = small_model(kind)
    state = random_state(model, batch=batch)
    assert_identical(model.restore_state(flatten_state(state)), state)


def saved():
    """Return a model, and the flattened tensors of a state of four sequences."""
    model = small_model("lstm_cell")
    return model, flatten_state(random_state(model))


PATHS = "The state of this model has the tensors 0.h, 0.c, 1.h, 1.c, but got "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("0.c"), PATHS + "0.h, 1.c, 1.h"),
        (lambda t: t.update({"2.h": t["1.h"]}), PATHS + "0.c, 0.h, 1.c, 1.h, 2.h"),
        (lambda t: t.update({"h_n": t.pop("0.h")}), PATHS + "0.c, 1.c, 1.h, h_n"),
        (lambda t: t.clear(), PATHS + "none"),
        (lambda t: t.update({"0.h": [1.0]}), "0.h must be a tensor, but is a list"),
        (lambda t: t.update({"0.h": None}), "0.h must be a tensor, but is a NoneType"),
        (
            lambda t: t.update({"0.c": t["0.c"][:, :2]}),
            "state[0].c must be a tensor of shape (4, 6), but is a torch.float64 tensor of shape (4, 2)",
        ),
        (
            lambda t: t.update({"1.h": t["1.h"][:3]}),
            "state[1].h must be a tensor of shape (4, 6), but is a torch.float64 tensor of shape (3, 6)",
        ),
        (
            lambda t: t.update({"1.h": t["1.h"].unsqueeze(0)}),
            "state[1].h must be a tensor of shape (4, 6), but is a torch.float64 tensor of shape (1, 4, 6)",
        ),
    ],
    ids=["missing", "extra", "renamed", "none", "list", "None", "narrow", "fewer_rows", "three_axes"],
)
def test_tensors_that_are_not_a_state_of_the_model_are_refused(change, message):
    model, tensors = saved()
    change(tensors)
    assert error_message(lambda: model.restore_state(tensors)) == message


def test_only_mappings_are_restored(kind):
    model = small_model(kind)
    message = error_message(lambda: model.restore_state([1]))
    assert message == "tensors must be a mapping, as flatten_state returns, but is a list"


def test_scalars_are_not_restored(kind):
    model = small_model(kind)
    tensors = {path: torch.zeros(()) for path in flatten_state(model.initial_state(1))}
    assert "tensor of shape ()" in error_message(lambda: model.restore_state(tensors))


# Mapping


def test_several_states_of_one_layout_are_mapped_together(kind):
    model = small_model(kind)
    first, second, third = (random_state(model) for _ in range(3))
    mapped = map_state(lambda a, b, c: a + 2 * b - c, first, second, third)
    assert type(mapped) is type(first)
    expected = [a + 2 * b - c for a, b, c in zip(leaves(first), leaves(second), leaves(third), strict=True)]
    assert_same(leaves(mapped), expected)
    model(small_input(), mapped)


def test_nested_state_keeps_its_names():
    _, state = counted()
    sizes = map_state(lambda part: part.dim(), state)
    assert sizes == Memory((3, 2), Clock(0, 1))
    assert type(sizes) is Memory
    assert type(sizes.clock) is Clock


def test_leaves_may_be_any_object():
    """Shapes, which are tuples themselves, and rates of zoneout."""
    shapes = Counting().state_shapes(2)
    assert map_state(len, shapes) == Memory((3, 2), Clock(0, 1))
    assert map_state(lambda name: name.upper(), Clock("a", "b")) == Clock("A", "B")


def test_states_of_different_layouts_are_refused():
    two, three = (small_model("gru_cell", num_layers=n).initial_state(1) for n in (2, 3))
    with pytest.raises(ValueError, match="different layouts"):
        map_state(torch.add, two, three)


# The state of another model


@pytest.mark.parametrize(
    "changes",
    [{"hidden_size": 5}, {"num_layers": 3}, {"bidirectional": True}],
    ids=["hidden_size", "num_layers", "bidirectional"],
)
def test_state_of_a_model_of_another_shape_is_refused(kind, changes):
    model, other = small_model(kind), small_model(kind, **changes)
    state = random_state(other)
    assert error_message(lambda: model(small_input(), state)).startswith("state")
    assert error_message(lambda: model.step(small_input()[:, 0], state)).startswith("state")
    assert error_message(lambda: model.reset_state(state, MASK)).startswith("state")
    assert error_message(lambda: model.restore_state(flatten_state(state)))


def test_state_of_a_model_of_another_kind_is_refused():
    model, other = small_model("gru_cell"), small_model("lstm_cell")
    message = "state[0] must be CellState(h=(4, 6)), but is LSTMCellState(h, c)"
    state = random_state(other)
    assert error_message(lambda: model(small_input(), state)) == message
    assert error_message(lambda: model.reset_state(state, MASK)) == message
    assert error_message(lambda: model.restore_state(flatten_state(state))) == (
        "The state of this model has the tensors 0.h, 1.h, but got 0.c, 0.h, 1.c, 1.h"
    )


@pytest.mark.parametrize("name", TESTED)
def test_state_of_a_bidirectional_encoder(name):
    encoder = small_model(name, bidirectional=True, readout="all")
    decoder = small_model(name, hidden_size=12)
    x = small_input()
    _, state = encoder(x, return_state=True)
    with pytest.raises(InputError, match=r"merge its directions first: encoder\.merge_directions\(state\)$"):
        decoder(x, state)
    decoder(x, encoder.merge_directions(state))
    wrong_batch = decoder.initial_state(2 * len(x))
    with pytest.raises(InputError) as caught:
        decoder(x, wrong_batch)
    assert "merge" not in str(caught.value)


@pytest.mark.parametrize("dtype", [None, torch.float32])
@pytest.mark.parametrize("device", [None, "meta"])
def test_initial_state_has_the_device_and_dtype_of_the_model_unless_given(device, dtype):
    state = small_model("lstm", dtype=torch.float64).initial_state(2, device=device, dtype=dtype)
    assert {(part.device.type, part.dtype) for part in state} == {(device or "cpu", dtype or torch.float64)}
