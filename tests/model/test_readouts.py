"""Readouts, with lengths and packed sequences, and single steps."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnkit import InputError, StepError, build_model, get_readout
from tests.helpers.models import (
    BATCH,
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
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
readouts = pytest.mark.parametrize("readout", READOUTS)
# a torch module and a stack; readouts read the same output of every kind
two_kinds = pytest.mark.parametrize("name", ["lstm", "gru_cell"])


def assert_same(actual, expected):
    """Outputs and states are equal up to rounding in float64."""
    torch.testing.assert_close(leaves(actual), leaves(expected), rtol=1e-9, atol=1e-12)


# Single steps


@two_kinds
def test_last_step_equals_the_last_readout(name):
    model = small_model(name)
    x, state = small_input(), None
    for x_t in x.unbind(1):
        y_t, state = model.step(x_t, state)
    assert_same(y_t, model(x))


@two_kinds
@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"bidirectional": True}, "bidirectional=True"), ({"readout": "mean"}, "'mean'"), ({"readout": "max"}, "'max'")],
    ids=["bidirectional", "mean", "max"],
)
def test_step_is_refused_if_outputs_depend_on_later_steps(name, changes, reason):
    model = small_model(name, **changes)
    with pytest.raises(StepError, match=reason):
        model.step(small_input()[:, 0])


# Lengths


@two_kinds
@readouts
@directions
@batch_axis
@pytest.mark.parametrize("content", [0.0, 1e30, float("inf"), float("nan")])
def test_padding_has_no_effect(name, batch_first, bidirectional, readout, content):
    """Outputs, states and gradients are those of each row run alone, without padding."""
    model = small_model(name, readout=readout, bidirectional=bidirectional, batch_first=batch_first)
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
            y, final = empty_sequence(model), before
        else:
            y, final = model(cut if model.spec.batch_first else cut.transpose(0, 1), before, return_state=True)
        if model.spec.readout == "all":
            y = y if model.spec.batch_first or length == 0 else y.transpose(0, 1)
            y = torch.cat([y, y.new_zeros(1, x.shape[1] - y.shape[1], y.shape[2])], dim=1)
        outputs.append(y)
        finals.append(final)
    return torch.cat(outputs), map_state(lambda *parts: torch.cat(parts, dim=parts[0].dim() - 2), *finals)


def empty_sequence(model):
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


@two_kinds
@readouts
@directions
def test_full_lengths_equal_no_lengths(name, bidirectional, readout):
    model = small_model(name, readout=readout, bidirectional=bidirectional)
    x = small_input()
    lengths = torch.full((BATCH,), TIME)
    assert_same(model(x, lengths=lengths, return_state=True), model(x, return_state=True))


@two_kinds
@readouts
@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.int8, torch.uint8], ids=str)
def test_lengths_of_any_integer_dtype_are_equivalent(name, dtype, readout):
    """One length is 0: in uint8, the index of its last step would be 255."""
    model, x = small_model(name, readout=readout), small_input()
    y, final = model(x, lengths=LENGTHS.to(dtype), return_state=True)
    assert_same((y, final), model(x, lengths=LENGTHS, return_state=True))


# Packed sequences


@two_kinds
@readouts
@directions
@batch_axis
def test_packed_sequence_equals_padded_input_with_lengths(name, batch_first, bidirectional, readout):
    model = small_model(name, readout=readout, bidirectional=bidirectional, batch_first=batch_first)
    x, lengths = small_input(batch_first=batch_first), torch.tensor([2, 5, 2, 3])
    packed = pack_padded_sequence(x, lengths, batch_first=batch_first, enforce_sorted=False)

    y, final = model(packed, return_state=True)
    if readout == "all":
        assert torch.equal(y.batch_sizes, packed.batch_sizes)
        assert torch.equal(y.sorted_indices, packed.sorted_indices)
        y, _ = pad_packed_sequence(y, batch_first=batch_first)

    assert_same((y, final), model(x, lengths=lengths, return_state=True))


@two_kinds
def test_sorted_packed_sequence(name):
    model, x = small_model(name, readout="all"), small_input()
    lengths = torch.tensor([5, 3, 3, 1])
    y = model(pack_padded_sequence(x, lengths, batch_first=True))
    assert y.sorted_indices is None
    assert_same(pad_packed_sequence(y, batch_first=True)[0], model(x, lengths=lengths))


@two_kinds
def test_packed_sequence_with_lengths_is_refused(name):
    packed = pack_padded_sequence(small_input(), torch.tensor([5, 3, 3, 1]), batch_first=True)
    with pytest.raises(InputError, match="has its own lengths"):
        small_model(name)(packed, lengths=LENGTHS)


# Readouts


@two_kinds
@directions
@readouts
def test_readout_matches_its_definition(name, bidirectional, readout):
    model = small_model(name, readout=readout, bidirectional=bidirectional)
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


@two_kinds
@readouts
def test_readout_without_output_size_has_no_linear_layer(name, readout):
    model = small_model(name, output_size=None, readout=readout)
    assert model.readout.linear is None
    assert model(small_input()).shape[-1] == model.backbone.features


@two_kinds
def test_model_has_its_spec(name):
    spec = small_spec(name)
    model = build_model(spec)
    assert model.spec is spec
    assert model.backbone(small_input(dtype=torch.float32))[0].shape[-1] == model.backbone.features
    assert repr(name) in repr(model)


# The edges


@two_kinds
@readouts
@directions
@batch_axis
@pytest.mark.parametrize("with_lengths", [False, True], ids=["no_lengths", "lengths"])
def test_empty_batch(name, batch_first, bidirectional, readout, with_lengths):
    model = small_model(name, batch_first=batch_first, bidirectional=bidirectional, readout=readout)
    x = small_input(batch_first=batch_first).narrow(0 if batch_first else 1, 0, 0)
    y, final = model(x, lengths=LENGTHS[:0] if with_lengths else None, return_state=True)
    expected = (2,) if readout != "all" else ((TIME, 2) if batch_first else (2,))
    assert y.shape == ((0, *expected) if batch_first or readout != "all" else (TIME, 0, *expected))
    assert [part.shape for part in leaves(final)] == [part.shape for part in leaves(model.initial_state(0))]


@two_kinds
@directions
def test_batch_of_empty_sequences_keeps_its_state(name, bidirectional):
    model = small_model(name, bidirectional=bidirectional)
    state = random_state(model)
    y, final = model(small_input(), state, lengths=torch.zeros(BATCH, dtype=torch.int64), return_state=True)
    assert_same(final, state)
    assert_same(y, model.readout.linear.bias.expand(BATCH, -1))


# Export


@readouts
@batch_axis
def test_readout_is_exported_with_dynamic_batch_size(readout, batch_first):
    module = get_readout(readout)(small_spec("gru", readout=readout, batch_first=batch_first, output_size=2), 6).eval()
    dynamic = torch.export.Dim.DYNAMIC
    output, lengths = torch.randn(*((4, 5) if batch_first else (5, 4)), 6), LENGTHS
    axis = 0 if batch_first else 1
    exported = torch.export.export(module, (output, lengths), dynamic_shapes=({axis: dynamic}, {0: dynamic})).module()
    other, others_lengths = torch.cat([output, output], axis), torch.cat([lengths, lengths])
    torch.testing.assert_close(exported(other, others_lengths), module(other, others_lengths))
