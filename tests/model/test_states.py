"""What a caller does with a state: cut its history, start rows anew, move it, save it, map over it."""

from typing import Any, NamedTuple

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
    list_kinds,
    map_state,
    move_state,
)
from tests.helpers.models import BATCH, TIME, leaves, random_state, small_input, small_model, total

HIDDEN = 6
STACKS = [name for name in list_kinds() if get_kind(name).sizes_per_layer]
ROWS = torch.tensor([True, False, True, False])
stacks = pytest.mark.parametrize("stack", STACKS)
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_directions"])


def refusal(call):
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def assert_same(actual, expected):
    """Outputs and states are equal up to rounding in float64."""
    torch.testing.assert_close(leaves(actual), leaves(expected), rtol=1e-9, atol=1e-12)


def assert_identical(actual, expected):
    """The same layout of the same tensors, bit by bit."""
    assert type(actual) is type(expected)
    if isinstance(expected, Tensor):
        assert actual.dtype == expected.dtype
        assert torch.equal(actual, expected)
    else:
        for ours, theirs in zip(actual, expected, strict=True):
            assert_identical(ours, theirs)


def learning_model(stack, **changes):
    """A stack that has learned where to start."""
    model = small_model(stack, options={"learn_initial_state": True}, **changes)
    with torch.no_grad():
        for parameter in model.backbone.initial.parameters():
            parameter.normal_()
    return model


def of_row(state, row):
    """One row of a state, whose batch axis is the last but one."""
    return map_state(lambda part: part.narrow(part.dim() - 2, row, 1), state)


# A state made up for what no installed kind has: parts without a batch, of integers, and nested


class Clock(NamedTuple):
    shared: Tensor
    """How many steps anybody has made; no axis of the batch."""
    steps: Tensor
    """How many steps each row has made, `(batch,)`, int64."""


class Memory(NamedTuple):
    trace: tuple[Tensor, Tensor]
    """What was seen, once for the last rows first: `(2, batch, 3)`, and `(batch, 3)`."""
    clock: Clock


class Counting(Backbone):
    """Adds up what it reads, and counts."""

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
    """A backbone, and a state of four rows that has seen something."""
    backbone = Counting()
    return backbone, detach_state(backbone(small_input())[1])


# Cutting the history


@directions
def test_a_detached_state_has_the_same_values_and_no_history(kind, bidirectional):
    model = small_model(kind, bidirectional=bidirectional)
    _, state = model(small_input(), return_state=True)
    assert all(part.requires_grad for part in leaves(state))
    detached = detach_state(state)
    assert not any(part.requires_grad or part.grad_fn for part in leaves(detached))
    assert_identical(detached, state)


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "whole"])
def test_back_propagation_ends_where_a_state_was_detached(kind, cut):
    model = small_model(kind)
    first, second = (part.requires_grad_() for part in small_input().split([2, TIME - 2], dim=1))
    _, state = model(first, return_state=True)
    result = model(second, detach_state(state) if cut else state, return_state=True)
    of_first, of_second = torch.autograd.grad(total(*result), [first, second], allow_unused=True)
    assert of_second.ne(0).any()
    assert (of_first is None) if cut else of_first.ne(0).any()


def test_truncated_back_propagation_is_the_gradient_of_each_piece_alone(kind):
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


# Starting rows anew


@directions
def test_rows_that_are_reset_start_anew_and_the_others_stay(kind, bidirectional):
    model = small_model(kind, bidirectional=bidirectional)
    state = random_state(model)
    before = map_state(torch.clone, state)
    reset, start = model.reset_state(state, ROWS), model.initial_state(BATCH)
    for row, anew in enumerate(ROWS.tolist()):
        assert_identical(of_row(reset, row), of_row(start if anew else state, row))
    assert_identical(state, before)


@pytest.mark.parametrize("anew", [True, False])
def test_all_rows_or_none_can_be_reset(kind, anew):
    model = small_model(kind)
    state = random_state(model)
    reset = model.reset_state(state, torch.full((BATCH,), anew))
    assert_identical(reset, model.initial_state(BATCH) if anew else state)


@stacks
@directions
def test_rows_that_are_reset_start_where_the_model_has_learned_to(stack, bidirectional):
    model = learning_model(stack, bidirectional=bidirectional)
    state, start = random_state(model), model.initial_state(BATCH)
    assert all(part.ne(0).all() for part in leaves(start))
    reset = model.reset_state(state, ROWS)
    for row, anew in enumerate(ROWS.tolist()):
        assert_same(of_row(reset, row), of_row(start if anew else state, row))


@stacks
def test_a_learned_initial_state_gets_a_gradient_through_a_reset(stack):
    model = learning_model(stack)
    state = model.reset_state(random_state(model), ROWS)
    learned = list(model.backbone.initial.parameters())
    for gradient in torch.autograd.grad(sum(part.sum() for part in leaves(state)), learned):
        assert gradient.eq(ROWS.sum()).all()


def test_a_reset_keeps_the_dtype_of_the_state(kind):
    model = small_model(kind)
    reset = model.reset_state(move_state(random_state(model), dtype=torch.float32), ROWS)
    assert {part.dtype for part in leaves(reset)} == {torch.float32}


def test_what_all_rows_share_is_not_reset():
    backbone, state = counted()
    (pair, last), clock = backbone.reset_state(state, ROWS)
    assert pair.eq(0).all(-1).all(0).tolist() == ROWS.tolist()
    assert last.eq(0).all(-1).tolist() == ROWS.tolist()
    assert clock.shared.item() == TIME
    assert clock.steps.tolist() == [0, TIME, 0, TIME]
    assert clock.steps.dtype == torch.int64


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([True, False, True, False], "a list of 4"),
        (torch.tensor([1, 0, 1, 0]), "a torch.int64 tensor of shape (4,)"),
        (torch.tensor([1.0, 0.0, 1.0, 0.0]), "a torch.float32 tensor of shape (4,)"),
        (torch.tensor([[True], [False], [True], [False]]), "a torch.bool tensor of shape (4, 1)"),
        (torch.tensor(True), "a torch.bool tensor of shape ()"),
        (True, "True"),
        (None, "None"),
    ],
    ids=["list", "int", "float", "two_axes", "scalar", "bool", "None"],
)
def test_what_is_no_mask_over_rows_is_refused(kind, rows, found):
    model = small_model(kind)
    message = f"rows must be a torch.bool tensor of shape (batch,), but is {found}"
    assert refusal(lambda: model.reset_state(random_state(model), rows)) == message


@pytest.mark.parametrize("count", [BATCH - 1, BATCH + 1, 1, 0])
def test_a_mask_over_another_number_of_rows_is_refused(kind, count):
    """A mask over one row would broadcast. The message has both numbers."""
    model = small_model(kind)
    message = refusal(lambda: model.reset_state(random_state(model), torch.ones(count, dtype=torch.bool)))
    assert f"{BATCH}, {HIDDEN})" in message
    assert f"{count}, {HIDDEN})" in message


# Streams

ENDS = [(3,), (2, 4), (), (1, 2, 3)]  # for each row, after which steps its sequence has ended and another begins


def test_a_stream_whose_rows_end_at_different_times_is_each_sequence_alone(kind):
    model, x = small_model(kind, readout="all"), small_input()
    assert_same(streamed(model, x), each_sequence_alone(model, x))


@stacks
def test_each_sequence_of_a_stream_starts_where_the_model_has_learned_to(stack):
    model, x = learning_model(stack, readout="all"), small_input()
    assert_same(streamed(model, x), each_sequence_alone(model, x))


def streamed(model, x):
    outputs, state = [], None
    for t in range(TIME):
        y_t, state = model.step(x[:, t], state)
        outputs.append(y_t)
        state = model.reset_state(state, torch.tensor([t + 1 in ends for ends in ENDS]))
    return torch.stack(outputs, dim=1)


def each_sequence_alone(model, x):
    rows = []
    for row, ends in enumerate(ENDS):
        pieces = x[row : row + 1].tensor_split(ends, dim=1)
        rows.append(torch.cat([model(piece) for piece in pieces], dim=1))
    return torch.cat(rows)


@pytest.mark.parametrize("start", ["None", "given"])
@pytest.mark.parametrize("batch_first", [True, False], ids=["batch_first", "time_first"])
def test_steps_and_pieces_can_be_mixed(kind, start, batch_first):
    model = small_model(kind, readout="all", batch_first=batch_first)
    state = None if start == "None" else random_state(model)
    x, time = small_input(batch_first=batch_first), 1 if batch_first else 0
    whole = model(x, state, return_state=True)
    y_first, state = model.step(x.select(time, 0), state)
    y_middle, state = model(x.narrow(time, 1, TIME - 2), state, return_state=True)
    y_last, state = model.step(x.select(time, TIME - 1), state)
    assert_same((torch.cat([y_first.unsqueeze(time), y_middle, y_last.unsqueeze(time)], dim=time), state), whole)


# Moving


def test_a_moved_state_has_the_dtype_and_the_same_layout(kind):
    model = small_model(kind)
    state = random_state(model)
    narrow = move_state(state, dtype=torch.float32)
    assert_identical(narrow, map_state(torch.Tensor.float, state))
    x = small_input(dtype=torch.float32)
    assert model.float()(x, narrow).dtype == torch.float32


def test_a_state_moves_to_another_device(kind):
    """The device without memory is one that every machine has."""
    state = random_state(small_model(kind))
    moved = move_state(state, "meta")
    assert type(moved) is type(state)
    assert all(part.is_meta for part in leaves(moved))
    assert [part.shape for part in leaves(moved)] == [part.shape for part in leaves(state)]
    assert {part.dtype for part in leaves(moved)} == {torch.float64}


def test_a_state_that_moves_nowhere_is_the_same(kind):
    state = random_state(small_model(kind))
    assert_identical(move_state(state), state)


def test_integers_keep_their_dtype_and_move_all_the_same():
    _, state = counted()
    moved = move_state(state, torch.device("meta"), torch.bfloat16)
    assert [part.dtype for part in leaves(moved)] == [torch.bfloat16, torch.bfloat16, torch.int64, torch.int64]
    assert all(part.is_meta for part in leaves(moved))
    narrow = move_state(state, dtype=torch.float32)
    assert torch.equal(narrow.clock.steps, state.clock.steps)
    assert narrow.trace[1].dtype == torch.float32


def test_the_gradient_goes_through_a_move(kind):
    model = small_model(kind)
    _, state = model(small_input(), return_state=True)
    moved = move_state(state, dtype=torch.float32)
    gradients = torch.autograd.grad(sum(part.sum() for part in leaves(moved)), list(model.backbone.parameters()))
    assert any(gradient.ne(0).any() for gradient in gradients)


# Saving


def state_to_save(model):
    """What a forward pass returns, with lengths and its history: a state as it comes."""
    _, state = model(small_input(), lengths=torch.tensor([5, 2, 0, 3]), return_state=True)
    return state


@directions
def test_a_state_survives_torch_save(kind, bidirectional, tmp_path):
    model = small_model(kind, bidirectional=bidirectional)
    state = state_to_save(model)
    torch.save(flatten_state(state), tmp_path / "state.pt")
    restored = model.restore_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_identical(restored, state)
    x = small_input()
    assert_same(model(x, restored), model(x, state))


@directions
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_state_survives_safetensors(kind, bidirectional, when, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    model = small_model(kind, bidirectional=bidirectional)
    assert_survives_safetensors(safetensors, model, when, tmp_path)


@stacks
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_learned_state_survives_safetensors(stack, when, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    assert_survives_safetensors(safetensors, learning_model(stack), when, tmp_path)


def assert_survives_safetensors(safetensors, model, when, folder):
    state = model.initial_state(BATCH) if when == "before" else state_to_save(model)
    safetensors.save_file(flatten_state(state), folder / "state.safetensors")
    restored = model.restore_state(safetensors.load_file(folder / "state.safetensors"))
    assert_identical(restored, detach_state(state))


@directions
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_tensors_to_save_are_copies_without_history_each_in_memory_of_its_own(kind, bidirectional, when):
    model = small_model(kind, bidirectional=bidirectional)
    assert_are_copies(model.initial_state(BATCH) if when == "before" else state_to_save(model))


@stacks
def test_so_are_those_of_a_learned_state(stack):
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
def test_the_tensors_of_a_state_stand_under_their_paths(built_in, changes, paths):
    assert list(flatten_state(small_model(built_in, **changes).initial_state(2))) == paths


def test_a_nested_state_with_a_shared_part_is_restored():
    backbone, state = counted()
    tensors = flatten_state(state)
    assert list(tensors) == ["trace.0", "trace.1", "clock.shared", "clock.steps"]
    assert_identical(backbone.restore_state(dict(reversed(tensors.items()))), state)


def test_a_model_restores_what_its_backbone_does():
    backbone, state = counted()
    spec = RecurrentSpec(kind="gru", input_size=3, hidden_size=3)
    model = RecurrentModel(spec, backbone, get_readout("last")(spec, backbone.features))
    assert_identical(model.restore_state(flatten_state(state)), state)


@pytest.mark.parametrize("batch", [0, 1, 7])
def test_a_state_of_any_number_of_rows_is_restored(kind, batch):
    model = small_model(kind)
    state = random_state(model, batch=batch)
    assert_identical(model.restore_state(flatten_state(state)), state)


def saved():
    """A model, and the tensors of a state of four rows."""
    model = small_model("lstm_cell")
    return model, flatten_state(random_state(model))


PATHS = "The tensors of this model's state are 0.h, 0.c, 1.h, 1.c, but got "


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
def test_tensors_of_no_state_of_the_model_are_refused(change, message):
    model, tensors = saved()
    change(tensors)
    assert refusal(lambda: model.restore_state(tensors)) == message


def test_scalars_are_no_state(kind):
    model = small_model(kind)
    tensors = {path: torch.zeros(()) for path in flatten_state(model.initial_state(1))}
    assert "tensor of shape ()" in refusal(lambda: model.restore_state(tensors))


# Mapping


def test_states_of_one_layout_are_mapped_side_by_side(kind):
    model = small_model(kind)
    first, second, third = (random_state(model) for _ in range(3))
    mapped = map_state(lambda a, b, c: a + 2 * b - c, first, second, third)
    assert type(mapped) is type(first)
    expected = [a + 2 * b - c for a, b, c in zip(leaves(first), leaves(second), leaves(third), strict=True)]
    assert_same(leaves(mapped), expected)
    model(small_input(), mapped)


def test_a_nested_state_keeps_its_names():
    _, state = counted()
    sizes = map_state(lambda part: part.dim(), state)
    assert sizes == Memory((3, 2), Clock(0, 1))
    assert type(sizes) is Memory
    assert type(sizes.clock) is Clock


def test_what_stands_for_a_tensor_may_be_anything():
    """As the shapes of a state, which are tuples themselves, and the rates of zoneout."""
    shapes = Counting().state_shapes(2)
    assert map_state(len, shapes) == Memory((3, 2), Clock(0, 1))
    assert map_state(lambda name: name.upper(), Clock("a", "b")) == Clock("A", "B")


def test_states_of_different_layouts_are_not_mapped_together():
    two, three = (small_model("gru_cell", num_layers=n).initial_state(1) for n in (2, 3))
    with pytest.raises(ValueError, match="not of one layout"):
        map_state(torch.add, two, three)


# The state of another model


@pytest.mark.parametrize(
    "changes",
    [{"hidden_size": 5}, {"num_layers": 3}, {"bidirectional": True}],
    ids=["hidden_size", "num_layers", "both_directions"],
)
def test_the_state_of_a_model_of_another_shape_is_refused(kind, changes):
    model, other = small_model(kind), small_model(kind, **changes)
    state = random_state(other)
    assert refusal(lambda: model(small_input(), state)).startswith("state")
    assert refusal(lambda: model.step(small_input()[:, 0], state)).startswith("state")
    assert refusal(lambda: model.reset_state(state, ROWS)).startswith("state")
    assert refusal(lambda: model.restore_state(flatten_state(state)))


def test_the_state_of_a_model_of_another_kind_is_refused():
    model, other = small_model("gru_cell"), small_model("lstm_cell")
    message = "state[0] must be CellState(h=(4, 6)), but is LSTMCellState(h, c)"
    state = random_state(other)
    assert refusal(lambda: model(small_input(), state)) == message
    assert refusal(lambda: model.reset_state(state, ROWS)) == message
    assert refusal(lambda: model.restore_state(flatten_state(state))) == (
        "The tensors of this model's state are 0.h, 1.h, but got 0.c, 0.h, 1.c, 1.h"
    )
