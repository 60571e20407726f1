"""Lengths as tensors, lists, arrays and masks, by position and by name."""

import inspect

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from rnnkit import InputError, RecurrentModel
from tests.helpers.models import BATCH, TIME, leaves, small_input, small_model

LENGTHS = [5, 2, 0, 3]
MASK = torch.arange(TIME) < torch.tensor(LENGTHS)[:, None]


def assert_same(results, expected):
    for result, other in zip(leaves(results), leaves(expected), strict=True):
        torch.testing.assert_close(result, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "lengths",
    [
        LENGTHS,
        tuple(LENGTHS),
        [np.int64(length) for length in LENGTHS],
        np.array(LENGTHS),
        np.array(LENGTHS, dtype=np.uint32),
        np.array(LENGTHS, dtype=">i2"),
        torch.tensor(LENGTHS, dtype=torch.uint16),
    ],
    ids=["list", "tuple", "numpy_integers", "array", "unsigned", "big_endian", "uint16"],
)
def test_lengths_of_any_type(lengths):
    model, x = small_model("gru_cell", readout="mean"), small_input()
    expected = model(x, lengths=torch.tensor(LENGTHS), return_state=True)
    assert_same(model(x, lengths=lengths, return_state=True), expected)
    assert_same(model.backbone(x, None, lengths), model.backbone(x, lengths=torch.tensor(LENGTHS)))
    assert_same(model.backbone.all_states(x, None, lengths), model.backbone.all_states(x, lengths=LENGTHS))


def test_read_only_arrays_and_the_arguments_of_the_caller_stay_unchanged():
    lengths = np.array(LENGTHS)
    lengths.flags.writeable = False
    small_model("lstm")(small_input(), lengths=lengths)
    assert lengths.tolist() == LENGTHS


@pytest.mark.parametrize(
    "lengths", [[2**63, 2, 0, 3], np.array([2**63, 2, 0, 3], dtype=np.uint64)], ids=["list", "array"]
)
def test_lengths_that_int64_cannot_hold_are_refused(lengths):
    with pytest.raises(InputError, match=r"lengths must be an integer tensor of shape"):
        small_model("lstm")(small_input(), lengths=lengths)


def test_lengths_by_position(kind):
    model, x = small_model(kind), small_input()
    lengths = torch.tensor(LENGTHS)
    assert_same(model(x, None, lengths), model(x, lengths=lengths))
    assert_same(model.backbone(x, None, lengths), model.backbone(x, lengths=lengths))


def test_arguments_of_forward_may_be_passed_by_position():
    """The older ONNX exporter passes the defaults of all arguments by position."""
    parameters = inspect.signature(RecurrentModel.forward).parameters.values()
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    model, x = small_model("gru"), small_input()
    assert_same(model.forward(x, *[parameter.default for parameter in list(parameters)[2:]]), model(x))


def test_empty_batch_with_lengths_as_a_list():
    assert small_model("lstm_cell")(small_input()[:0], None, []).shape == (0, 2)


@pytest.mark.parametrize("batch_first", [True, False])
def test_mask_equals_lengths(kind, batch_first):
    model, x = small_model(kind, batch_first=batch_first, readout="all"), small_input(batch_first=batch_first)
    mask = MASK if batch_first else MASK.t()
    expected = model(x, lengths=torch.tensor(LENGTHS), return_state=True)
    assert_same(model(x, mask=mask, return_state=True), expected)
    assert_same(model(x, mask=mask.numpy(), return_state=True), expected)


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (MASK.long(), "a torch.int64 tensor of shape (4, 5): convert it, as in mask.bool()"),
        (MASK[:, :4], "a torch.bool tensor of shape (4, 4)"),
        (MASK.t(), "a torch.bool tensor of shape (5, 4)"),
        (MASK[:, 0], "a torch.bool tensor of shape (4,)"),
        (MASK.tolist(), "a list of 4: convert it, as in torch.tensor(mask)"),
        (MASK.long().numpy(), "a NumPy array of int64 and shape (4, 5): convert it, as in mask.astype(bool)"),
    ],
    ids=["integers", "short", "time_first", "batch_only", "list", "numpy"],
)
def test_wrong_masks_are_refused(mask, found):
    with pytest.raises(InputError) as caught:
        small_model("lstm")(small_input(), mask=mask)
    expected = f"mask must be a torch.bool tensor of shape (batch, time) = (4, 5), but is {found}"
    assert str(caught.value) == expected


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize(
    ("steps", "where"),
    [([0, 0, 1, 1, 1], (1, 2)), ([1, 0, 1, 1, 0], (1, 2)), ([1, 1, 1, 0, 1], (3, 4))],
    ids=["padded_left", "hole", "last"],
)
def test_masks_with_valid_steps_after_padding_are_refused(steps, where, batch_first):
    mask = MASK.clone()
    mask[2] = torch.tensor(steps, dtype=torch.bool)
    model = small_model("lstm", batch_first=batch_first)
    with pytest.raises(InputError, match="move the padding to the end") as caught:
        model(small_input(batch_first=batch_first), mask=mask if batch_first else mask.t())
    assert f"is False at step {where[0]} and True at step {where[1]} of sequence 2" in str(caught.value)


def test_padding_is_given_once():
    model, x = small_model("lstm"), small_input()
    with pytest.raises(InputError, match="`mask` and `lengths` both give the valid steps"):
        model(x, lengths=LENGTHS, mask=MASK)
    packed = pack_sequence([x[0], x[1, :3]])
    with pytest.raises(InputError, match="has its own lengths"):
        model(packed, mask=MASK)


def test_wrong_input_is_reported_before_the_mask():
    with pytest.raises(InputError, match=r"The input must have the shape \(batch, time, input_size\)"):
        small_model("lstm")(small_input()[0], mask=MASK)


def test_device_and_dtype(kind):
    model = small_model(kind)
    assert model.dtype == model.backbone.dtype == torch.float64
    assert model.device == model.backbone.device == torch.device("cpu")
    assert model.float().dtype == torch.float32
    assert model.to("meta").device == torch.device("meta")


@pytest.mark.parametrize("readout", ["last", "mean", "max", "all"])
def test_shapes_on_the_meta_device(kind, readout):
    model = small_model(kind, readout=readout)
    x, meta = small_input(), small_model(kind, readout=readout).to("meta")
    for arguments in ({"lengths": LENGTHS}, {"mask": MASK}, {"restarts": MASK}):
        on_meta = {
            name: each.to("meta") if isinstance(each, torch.Tensor) else each for name, each in arguments.items()
        }
        expected = leaves(model(x, **arguments, return_state=True))
        for given in (arguments, on_meta):
            found = leaves(meta(x.to("meta"), **given, return_state=True))
            assert all(each.is_meta for each in found)
            assert [each.shape for each in found] == [each.shape for each in expected]


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # in a module that `scan` imports
def test_mask_compiles():
    model, x = small_model("rnn_cell"), small_input()
    model.backbone.force_step_loop = True
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert_same(compiled(x, mask=MASK), model(x, mask=MASK))
    assert len(LENGTHS) == BATCH
