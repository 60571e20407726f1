"""Invalid inputs are refused with what was expected and what was given."""

from collections import namedtuple

import numpy as np
import pytest
import torch

from rnnkit import Backbone, BuildError, InputError, RecurrentSpec
from tests.helpers.models import BATCH, TIME, map_state, random_state, small_input, small_model


def error_message(call):
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (TIME, 3),
            (
                "The input must have the shape (batch, time, input_size) = (*, *, 3); for one sequence without a "
                "batch axis write x.unsqueeze(0), but has the shape (5, 3)"
            ),
        ),
        (
            (BATCH, TIME, 4),
            "The input must have the shape (batch, time, input_size) = (*, *, 3), but has the shape (4, 5, 4)",
        ),
        (
            (BATCH, TIME, 1),
            "The input must have the shape (batch, time, input_size) = (*, *, 3), but has the shape (4, 5, 1)",
        ),
        (
            (BATCH, 0, 3),
            (
                "The input must have the shape (batch, time, input_size) = (*, *, 3) with at least one step, but has "
                "the shape (4, 0, 3)"
            ),
        ),
        (
            (1, BATCH, TIME, 3),
            "The input must have the shape (batch, time, input_size) = (*, *, 3), but has the shape (1, 4, 5, 3)",
        ),
    ],
    ids=["unbatched", "too_wide", "would_broadcast", "no_steps", "four_axes"],
)
def test_wrong_input_shape_is_refused(kind, shape, message):
    model = small_model(kind)
    assert error_message(lambda: model(torch.zeros(shape, dtype=torch.float64))) == message


def test_wrong_input_shape_with_time_first_is_refused(kind):
    model = small_model(kind, batch_first=False)
    assert error_message(lambda: model(torch.zeros(TIME, 3, dtype=torch.float64))) == (
        "The input must have the shape (time, batch, input_size) = (*, *, 3); for one sequence without a batch axis "
        "write x.unsqueeze(1), but has the shape (5, 3)"
    )
    assert "at least one step" in error_message(lambda: model(torch.zeros(0, BATCH, 3, dtype=torch.float64)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.complex128], ids=str)
def test_wrong_input_dtype_is_refused(kind, dtype):
    model = small_model(kind)
    assert error_message(lambda: model(torch.zeros(BATCH, TIME, 3, dtype=dtype))) == (
        f"The model is torch.float64, but the input is {dtype}: convert one, as in x.to(torch.float64)"
    )


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, "float32"], ids=str)
def test_models_are_built_in_floating_point_dtypes(kind, dtype):
    with pytest.raises(
        BuildError, match=f"dtype must be a floating-point dtype such as torch.float32, but is {dtype!r}"
    ):
        small_model(kind, dtype=dtype)


@pytest.mark.parametrize(
    ("x", "found"),
    [
        ([[[1.0, 2.0, 3.0]]], "a list of 1: convert it, as in torch.tensor(x)"),
        (np.zeros((1, 1, 3)), "a NumPy array of float64 and shape (1, 1, 3): convert it, as in torch.from_numpy(x)"),
        (3, "3"),
    ],
    ids=["list", "numpy", "int"],
)
def test_input_that_is_not_a_tensor_is_refused(kind, x, found):
    message = f"The input must be a tensor or a PackedSequence, but is {found}"
    assert error_message(lambda: small_model(kind)(x)) == message


@pytest.mark.parametrize(
    ("lengths", "found"),
    [
        ([5.0, 2, 0, 3], "[5.0, 2, 0, 3]"),
        ((True, 2, 0, 3), "(True, 2, 0, 3)"),
        (np.array([5.0, 2.0, 0.0, 3.0]), "a NumPy array of float64 and shape (4,)"),
        (torch.tensor([5.0, 2.0, 0.0, 3.0]), "a torch.float32 tensor of shape (4,)"),
        (torch.tensor([True] * 4), "a torch.bool tensor of shape (4,)"),
        (torch.tensor([5, 2, 0]), "a torch.int64 tensor of shape (3,)"),
        (torch.tensor(5), "a torch.int64 tensor of shape ()"),
        (torch.tensor([[5], [2], [0], [3]]), "a torch.int64 tensor of shape (4, 1)"),
    ],
    ids=["floats", "booleans", "array", "float", "bool", "too_few", "scalar", "two_axes"],
)
def test_lengths_of_wrong_shape_or_dtype_are_refused(kind, lengths, found):
    model = small_model(kind)
    assert error_message(lambda: model(small_input(), lengths=lengths)) == (
        f"lengths must be an integer tensor of shape (batch,) = (4,), but is {found}"
    )


@pytest.mark.parametrize(("lengths", "extent"), [([5, 6, 0, 1], "0 to 6"), ([5, -1, 2, 1], "-1 to 5")])
def test_lengths_out_of_range_are_refused(kind, lengths, extent):
    model = small_model(kind)
    for given in (lengths, torch.tensor(lengths), np.array(lengths, dtype=np.int8)):
        assert error_message(lambda given=given: model(small_input(), lengths=given)) == (
            f"Each of lengths must be between 0 and the number of steps, 5, but they range from {extent}"
        )


def test_state_of_another_batch_size_does_not_broadcast(kind):
    model = small_model(kind)
    message = error_message(lambda: model(small_input(), random_state(model, batch=1)))
    assert message.startswith("state")
    assert f"{BATCH}, 6)" in message
    assert "1, 6)" in message


def test_state_of_another_dtype_is_refused(kind):
    model = small_model(kind)
    message = error_message(lambda: model(small_input(), model.initial_state(BATCH, dtype=torch.float32)))
    assert "must be torch.float64 as the input is" in message
    assert "a torch.float32 tensor" in message


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex128])
def test_state_that_is_not_floating_point_is_refused(kind, dtype):
    model = small_model(kind)
    state = map_state(lambda part: part.to(dtype), model.initial_state(BATCH))
    message = error_message(lambda: model(small_input(), state))
    assert f" of the state must be torch.float64 as the input is, but is a {dtype} tensor of shape (" in message


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (torch.Tensor.to_sparse, "The input must be a dense tensor, but has the layout torch.sparse_coo: convert it"),
        (
            lambda x: torch.nested.nested_tensor(list(x)),
            "The input must be a padded tensor, but is nested: pass x.to_padded_tensor(0.0) and `lengths`",
        ),
    ],
    ids=["sparse", "nested"],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_input_of_another_layout_is_refused(kind, convert, message):
    model = small_model(kind)
    assert error_message(lambda: model(convert(small_input()))).startswith(message)


@pytest.mark.parametrize("state", [torch.zeros(2, BATCH, 6), [], (), ((),) * 5, 0], ids=repr)
def test_state_of_another_layout_is_refused(kind, state):
    model = small_model(kind)
    assert error_message(lambda: model(small_input(), state)).startswith("state")


def test_state_with_other_field_names_is_refused(kind):
    """Its parts may be in another order."""
    model = small_model(kind)
    state = model.initial_state(BATCH)
    named = state if hasattr(state, "_fields") else state[0]
    other = namedtuple("Other", reversed([f"{name}_other" for name in named._fields]))(*named)  # noqa: PYI024  # names are computed
    message = error_message(lambda: model(small_input(), other if named is state else (other, *state[1:])))
    assert f"{type(named).__name__}({named._fields[0]}=" in message
    assert f"but is Other({', '.join(other._fields)})" in message


def test_plain_tuples_are_accepted_as_state(kind):
    model = small_model(kind)
    state = random_state(model)
    plain = tuple(part if isinstance(part, torch.Tensor) else tuple(part) for part in state)
    x = small_input()
    y, final = model(x, plain, return_state=True)
    torch.testing.assert_close(y, model(x, state))
    assert type(final) is type(state)
    assert all(type(a) is type(b) for a, b in zip(final, state, strict=True))


def test_backbone_without_parameters_takes_dtype_from_buffers():
    class Reservoir(Backbone):
        def __init__(self):
            super().__init__(RecurrentSpec(kind="gru", input_size=3, hidden_size=4), features=3)
            self.register_buffer("weight", torch.eye(3, dtype=torch.float64))

        def state_shapes(self, batch_size):
            return (torch.Size((batch_size, 3)),)

        def run(self, x, state, lengths):
            return x @ self.weight, self.initial_state(len(x)) if state is None else state

    reservoir = Reservoir()
    assert reservoir(small_input())[0].dtype == torch.float64
    assert "torch.float64, but the input is torch.float32" in error_message(lambda: reservoir(small_input().float()))


def test_base_class_zeroes_the_padding_of_the_output():
    class Ones(Backbone):
        def __init__(self):
            super().__init__(RecurrentSpec(kind="gru", input_size=3, hidden_size=4), features=3)
            self.register_buffer("one", torch.ones((), dtype=torch.float64))

        def state_shapes(self, batch_size):
            return ()

        def run(self, x, state, lengths):
            return torch.ones_like(x), ()

    output, _ = Ones()(small_input(), lengths=torch.tensor([5, 2, 0, 3]))
    assert output.sum(dim=(1, 2)).tolist() == [15, 6, 0, 9]


def test_step_refuses_whole_sequences(kind):
    model = small_model(kind)
    assert error_message(lambda: model.step(small_input())) == (
        "step() takes one step, (batch, input_size) = (*, 3), but got the shape (4, 5, 3)"
    )
    assert "has the shape (4, 1, 2)" in error_message(lambda: model.step(small_input()[:, 0, :2]))
    assert error_message(lambda: model.step([1.0, 2.0, 3.0])) == (
        "step() takes one step, (batch, input_size) = (*, 3), but got a list of 3"
    )
