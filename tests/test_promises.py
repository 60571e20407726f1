"""What rnnkit promises of every installed kind, a third party's included."""

import copy
import pickle

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnkit import InputError, StepError, build_model
from tests.models import (
    BATCH,
    INPUT_SIZE,
    TIME,
    leaves,
    map_state,
    random_state,
    small_input,
    small_model,
    small_spec,
    total,
)

LENGTHS = torch.tensor([5, 2, 0, 3])
READOUTS = ["last", "mean", "max", "all"]
batch_axis = pytest.mark.parametrize("batch_first", [True, False], ids=["batch_first", "time_first"])
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_directions"])
readouts = pytest.mark.parametrize("readout", READOUTS)


def assert_same(actual, expected):
    """Outputs and states are equal up to rounding in float64."""
    torch.testing.assert_close(leaves(actual), leaves(expected), rtol=1e-9, atol=1e-12)


# Time


@batch_axis
def test_two_halves_equal_the_whole(kind, batch_first):
    model = small_model(kind, readout="all", batch_first=batch_first)
    x, time_axis = small_input(batch_first=batch_first), 1 if batch_first else 0
    state = random_state(model)
    whole, final = model(x, state, return_state=True)

    first, second = x.split([2, TIME - 2], dim=time_axis)
    y_first, between = model(first, state, return_state=True)
    y_second, final_of_halves = model(second, between, return_state=True)

    assert_same(torch.cat([y_first, y_second], dim=time_axis), whole)
    assert_same(final_of_halves, final)


@batch_axis
def test_step_by_step_equals_forward(kind, batch_first):
    model = small_model(kind, readout="all", batch_first=batch_first)
    x, time_axis = small_input(batch_first=batch_first), 1 if batch_first else 0
    whole, final = model(x, return_state=True)

    outputs, state = [], None
    for x_t in x.unbind(time_axis):
        y_t, state = model.step(x_t, state)
        outputs.append(y_t)

    assert_same(torch.stack(outputs, dim=time_axis), whole)
    assert_same(state, final)


def test_the_last_step_equals_the_readout_last(kind):
    model = small_model(kind)
    x, state = small_input(), None
    for x_t in x.unbind(1):
        y_t, state = model.step(x_t, state)
    assert_same(y_t, model(x))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"bidirectional": True}, "bidirectional=True"), ({"readout": "mean"}, "'mean'"), ({"readout": "max"}, "'max'")],
    ids=["both_directions", "mean", "max"],
)
def test_step_is_refused_where_an_output_depends_on_later_steps(kind, changes, reason):
    model = small_model(kind, **changes)
    with pytest.raises(StepError, match=reason):
        model.step(small_input()[:, 0])


@directions
def test_time_first_is_the_transpose_of_batch_first(kind, bidirectional):
    model = small_model(kind, bidirectional=bidirectional, readout="all")
    other = small_model(kind, bidirectional=bidirectional, readout="all", batch_first=False)
    other.load_state_dict(model.state_dict())
    x = small_input()
    (y, final), (y_other, final_other) = (m(i, return_state=True) for m, i in ((model, x), (other, x.transpose(0, 1))))
    assert_same(y_other.transpose(0, 1), y)
    assert_same(final_other, final)


def test_the_initial_state_is_where_a_sequence_starts(kind):
    model = small_model(kind)
    x = small_input()
    assert_same(model(x, model.initial_state(BATCH)), model(x))
    assert all(part.dtype == torch.float64 for part in leaves(model.initial_state(BATCH)))


# Lengths


@readouts
@directions
@batch_axis
@pytest.mark.parametrize("content", [0.0, 1e30, float("inf"), float("nan")])
def test_padding_of_any_content_changes_nothing(kind, batch_first, bidirectional, readout, content):
    """Outputs, states and gradients are those of each row run alone, without padding."""
    model = small_model(kind, readout=readout, bidirectional=bidirectional, batch_first=batch_first)
    rows, state = small_input(), random_state(model)
    past = torch.arange(TIME) >= LENGTHS[:, None]
    padded = rows.masked_fill(past[..., None], content)
    padded = (padded if batch_first else padded.transpose(0, 1)).requires_grad_()
    rows.requires_grad_()

    together = with_gradients(model, padded, *run_together(model, padded, state, LENGTHS))
    alone = with_gradients(model, rows, *run_alone(model, rows, state, LENGTHS))

    gradient = together["input"] if batch_first else together["input"].transpose(0, 1)
    assert gradient[past].eq(0).all(), "padding has a gradient"
    assert_same(gradient, alone.pop("input"))
    together.pop("input")
    assert_same(tuple(together.values()), tuple(alone.values()))


def run_together(model, x, state, lengths):
    y, final = model(x, state, lengths=lengths, return_state=True)
    time_first = model.spec.readout == "all" and not model.spec.batch_first
    return (y.transpose(0, 1) if time_first else y), final


def run_alone(model, x, state, lengths):
    """Each row by itself, cut at its length; a row without steps by what the documentation says of it."""
    outputs, finals = [], []
    for row, length in enumerate(lengths.tolist()):
        before = take_row(state, row)
        cut = x[row : row + 1, :length]
        if length == 0:
            y, final = empty_row(model), before
        else:
            y, final = model(cut if model.spec.batch_first else cut.transpose(0, 1), before, return_state=True)
        if model.spec.readout == "all":
            y = y if model.spec.batch_first or length == 0 else y.transpose(0, 1)
            y = torch.cat([y, y.new_zeros(1, x.shape[1] - y.shape[1], y.shape[2])], dim=1)
        outputs.append(y)
        finals.append(final)
    return torch.cat(outputs), map_state(lambda *parts: torch.cat(parts, dim=parts[0].dim() - 2), *finals)


def empty_row(model):
    if model.spec.readout == "all":
        return torch.zeros(1, 0, model.spec.output_size, dtype=torch.float64)
    return model.readout.linear(torch.zeros(1, model.backbone.features, dtype=torch.float64))


def take_row(state, row):
    """One row of a state, whose batch axis is the last but one."""
    return map_state(lambda part: part.narrow(part.dim() - 2, row, 1), state)


def with_gradients(model, x, y, final):
    gradients = torch.autograd.grad(total(y, final), [x, *model.parameters()])
    names = ["input", *(name for name, _ in model.named_parameters())]
    return {"output": y, "state": final, **dict(zip(names, gradients, strict=True))}


@readouts
@directions
def test_full_lengths_equal_no_lengths(kind, bidirectional, readout):
    model = small_model(kind, readout=readout, bidirectional=bidirectional)
    x = small_input()
    lengths = torch.full((BATCH,), TIME)
    assert_same(model(x, lengths=lengths, return_state=True), model(x, return_state=True))


@directions
def test_backbone_outputs_past_the_length_are_zero(kind, bidirectional):
    backbone = small_model(kind, bidirectional=bidirectional).backbone
    output, _ = backbone(small_input(), lengths=LENGTHS)
    past = torch.arange(TIME) >= LENGTHS[:, None]
    assert output[past].eq(0).all()
    assert output[~past].ne(0).all()


@readouts
@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.int8, torch.uint8], ids=str)
def test_lengths_of_any_integer_dtype_mean_the_same(kind, dtype, readout):
    """An empty row is among them: in uint8 its last step would be 255."""
    model, x = small_model(kind, readout=readout), small_input()
    y, final = model(x, lengths=LENGTHS.to(dtype), return_state=True)
    assert_same((y, final), model(x, lengths=LENGTHS, return_state=True))


# Packed sequences


@readouts
@directions
@batch_axis
def test_a_packed_sequence_equals_its_lengths(kind, batch_first, bidirectional, readout):
    model = small_model(kind, readout=readout, bidirectional=bidirectional, batch_first=batch_first)
    x, lengths = small_input(batch_first=batch_first), torch.tensor([2, 5, 2, 3])
    packed = pack_padded_sequence(x, lengths, batch_first=batch_first, enforce_sorted=False)

    y, final = model(packed, return_state=True)
    if readout == "all":
        assert torch.equal(y.batch_sizes, packed.batch_sizes)
        assert torch.equal(y.sorted_indices, packed.sorted_indices)
        y, _ = pad_packed_sequence(y, batch_first=batch_first)

    assert_same((y, final), model(x, lengths=lengths, return_state=True))


def test_a_packed_sequence_that_was_sorted_already(kind):
    model, x = small_model(kind, readout="all"), small_input()
    lengths = torch.tensor([5, 3, 3, 1])
    y = model(pack_padded_sequence(x, lengths, batch_first=True))
    assert y.sorted_indices is None
    assert_same(pad_packed_sequence(y, batch_first=True)[0], model(x, lengths=lengths))


def test_a_packed_sequence_with_lengths_is_refused(kind):
    packed = pack_padded_sequence(small_input(), torch.tensor([5, 3, 3, 1]), batch_first=True)
    with pytest.raises(InputError, match="brings its own lengths"):
        small_model(kind)(packed, lengths=LENGTHS)


# Readouts


@directions
@readouts
def test_a_readout_is_its_definition(kind, bidirectional, readout):
    model = small_model(kind, readout=readout, bidirectional=bidirectional)
    x = small_input()
    output, _ = model.backbone(x)
    half = output.shape[-1] // 2 if bidirectional else output.shape[-1]
    pooled = {
        "last": torch.cat([output[:, TIME - 1, :half], output[:, 0, half:]], dim=1),
        "mean": sum(output.unbind(1)) / TIME,
        "max": output.max(dim=1).values,
        "all": output,
    }[readout]
    linear = model.readout.linear
    assert_same(model(x), pooled @ linear.weight.T + linear.bias)


@readouts
def test_without_an_output_size_the_readout_is_the_output(kind, readout):
    model = small_model(kind, output_size=None, readout=readout)
    assert model.readout.linear is None
    assert model(small_input()).shape[-1] == model.backbone.features


# Training


@directions
@readouts
def test_every_parameter_gets_a_gradient(kind, bidirectional, readout):
    model = small_model(kind, bidirectional=bidirectional, readout=readout)
    model(small_input()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.ne(0).any(), name


@directions
def test_training_and_evaluation_differ_only_by_dropout(kind, bidirectional):
    plain = small_model(kind, bidirectional=bidirectional, readout="all", num_layers=3)
    dropping = small_model(kind, bidirectional=bidirectional, readout="all", num_layers=3, dropout=0.5)
    dropping.load_state_dict(plain.state_dict())
    x = small_input()
    assert_same(plain.train()(x), plain.eval()(x))
    assert_same(dropping.eval()(x), plain(x))
    assert not torch.allclose(dropping.train()(x), plain(x))
    assert not torch.allclose(dropping(x), dropping(x)), "one mask for all calls"


@directions
def test_dropout_acts_between_layers_and_nowhere_else(kind, bidirectional):
    """Dropping everything cuts the second layer off from the input; it leaves the input and the last output alone."""
    model = small_model(kind, bidirectional=bidirectional, output_size=None, readout="all", dropout=1.0)
    x = small_input()
    y, final = model.train()(x, return_state=True)
    other, _ = model(small_input(), return_state=True)
    assert_same(y, other)
    assert y.ne(0).all()
    y_evaluated, final_evaluated = model.eval()(x, return_state=True)
    assert not torch.allclose(y_evaluated, y)
    assert_same(first_layer(final), first_layer(final_evaluated))


def first_layer(state):
    """What the first layer carries, of a state stacked by layer as torch's or with one entry for each layer."""
    first = leaves(state)[0]
    return first[0] if first.dim() == 3 else first


def test_weights_repeat_under_a_seed(kind):
    torch.manual_seed(7)
    first = small_model(kind).state_dict()
    torch.manual_seed(7)
    second = small_model(kind).state_dict()
    third = small_model(kind).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)


# Being a torch module


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@directions
def test_the_dtype_stays(kind, dtype, bidirectional):
    model = small_model(kind, dtype=dtype, bidirectional=bidirectional)
    y, final = model(small_input(dtype=dtype), lengths=LENGTHS, return_state=True)
    assert {part.dtype for part in [y, *leaves(final), *model.parameters()]} == {dtype}
    assert model.to(torch.float64)(small_input()).dtype == torch.float64


def test_the_state_dict_round_trip_is_exact(kind):
    model, other = small_model(kind), small_model(kind)
    x = small_input()
    assert not torch.equal(other(x), model(x))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_clone_of_the_model_is_the_same_and_independent(kind, clone):
    model, x = small_model(kind), small_input()
    expected = model(x).detach()
    cloned = clone(model)
    assert torch.equal(cloned(x), expected)
    assert cloned.spec == model.spec
    with torch.no_grad():
        for parameter in cloned.parameters():
            parameter.zero_()
    assert torch.equal(model(x), expected)


@directions
def test_the_meta_device_allocates_nothing(kind, bidirectional):
    """100,000 features would take a hundred gigabytes and more."""
    spec = small_spec(kind, hidden_size=100_000, bidirectional=bidirectional)
    model = build_model(spec, device="meta")
    tensors = [*model.parameters(), *model.buffers()]
    assert all(tensor.is_meta for tensor in tensors)
    y, final = model(torch.empty(BATCH, TIME, INPUT_SIZE, device="meta"), return_state=True)
    assert y.shape == (BATCH, 2)
    assert all(part.is_meta for part in [y, *leaves(final)])


def test_a_model_carries_its_spec(kind):
    spec = small_spec(kind)
    model = build_model(spec)
    assert model.spec is spec
    assert model.backbone(small_input(dtype=torch.float32))[0].shape[-1] == model.backbone.features
    assert repr(kind) in repr(model)


@directions
def test_nothing_that_is_given_is_changed(kind, bidirectional):
    model = small_model(kind, bidirectional=bidirectional)
    x, state, lengths = small_input(), random_state(model), LENGTHS.clone()
    before = copy.deepcopy((x, state, lengths))
    model(x, state, lengths=lengths)
    assert all(torch.equal(a, b) for a, b in zip(leaves((x, state, lengths)), leaves(before), strict=True))


# The edges


@readouts
@directions
@batch_axis
@pytest.mark.parametrize("with_lengths", [False, True], ids=["no_lengths", "lengths"])
def test_an_empty_batch_works(kind, batch_first, bidirectional, readout, with_lengths):
    model = small_model(kind, batch_first=batch_first, bidirectional=bidirectional, readout=readout)
    x = small_input(batch_first=batch_first).narrow(0 if batch_first else 1, 0, 0)
    y, final = model(x, lengths=LENGTHS[:0] if with_lengths else None, return_state=True)
    expected = (2,) if readout != "all" else ((TIME, 2) if batch_first else (2,))
    assert y.shape == ((0, *expected) if batch_first or readout != "all" else (TIME, 0, *expected))
    assert [part.shape for part in leaves(final)] == [part.shape for part in leaves(model.initial_state(0))]


@directions
def test_rows_that_are_all_empty_keep_their_state(kind, bidirectional):
    model = small_model(kind, bidirectional=bidirectional)
    state = random_state(model)
    y, final = model(small_input(), state, lengths=torch.zeros(BATCH, dtype=torch.int64), return_state=True)
    assert_same(final, state)
    assert_same(y, model.readout.linear.bias.expand(BATCH, -1))


def test_one_step_one_row_one_layer(kind):
    model = small_model(kind, num_layers=1, bidirectional=True)
    assert model(torch.randn(1, 1, INPUT_SIZE, dtype=torch.float64)).shape == (1, 2)
