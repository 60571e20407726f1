"""Second derivatives, autocast and long sequences, on the fused path and in the step loop."""

import pytest
import torch
from torch.autograd import gradgradcheck
from torch.func import vmap
from torch.nn import functional as F

from rnnkit import Cell, CellState, cell_kind, detach_state, register_kind
from tests.helpers.kinds import TESTED
from tests.helpers.models import leaves, map_state, random_state, small_input, small_model, total

STACKS = [kind for kind in TESTED if hasattr(small_model(kind).backbone, "cells")]
LENGTHS = torch.tensor([5, 2, 0, 3])
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
with_or_without_lengths = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no_lengths", "lengths"])
# every installed kind as it is, and every stack also in the step loop
kinds_and_step_loops = pytest.mark.parametrize(
    ("name", "force_step_loop"),
    [(name, False) for name in TESTED] + [(name, True) for name in STACKS],
    ids=[*TESTED, *(f"{name}_in_the_step_loop" for name in STACKS)],
)


def model_of(name, *, force_step_loop, **changes):
    model = small_model(name, **changes)
    if force_step_loop:
        model.backbone.force_step_loop = True
    return model


def assert_close(actual, expected, **tolerances):
    torch.testing.assert_close(leaves(actual), leaves(expected), **(tolerances or {"rtol": 1e-9, "atol": 1e-12}))


# Derivatives of second order


def as_function(name, force_step_loop):
    """Return a small network as a function of its input, state and parameters, and values for them."""
    sizes = {"input_size": 2, "hidden_size": 2, "output_size": None, "readout": "all"}
    model = model_of(name, force_step_loop=force_step_loop, bidirectional=True, **sizes)
    state = random_state(model, batch=3)
    lengths = torch.tensor([3, 0, 2])
    parts = len(leaves(state))

    def function(x, *others):
        given = iter(others[:parts])
        y, final = model(x, map_state(lambda _: next(given), state), lengths=lengths, return_state=True)
        return y, *leaves(final)

    values = [torch.randn(3, 3, 2, dtype=torch.float64), *leaves(state)]
    return function, [*(value.requires_grad_() for value in values), *model.parameters()]


@kinds_and_step_loops
def test_second_derivatives_match_numerical_ones(name, force_step_loop):
    function, values = as_function(name, force_step_loop)
    assert gradgradcheck(function, values, fast_mode=True)


def gradient_penalty(model, x, lengths):
    """Return the gradients of a gradient penalty."""
    x = x.clone().requires_grad_()
    y, final = model(x, lengths=lengths, return_state=True)
    value = sum(part.square().sum() for part in [y, *leaves(final)])
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    wanted = [x, *(weight for name, weight in model.named_parameters() if not name.startswith("readout"))]
    return torch.autograd.grad(gradient.square().sum(), wanted, materialize_grads=True)


@kinds_and_step_loops
@directions
@with_or_without_lengths
def test_gradient_penalty_in_float32_is_close_to_float64(name, force_step_loop, bidirectional, lengths):
    model = model_of(name, force_step_loop=force_step_loop, bidirectional=bidirectional, dtype=torch.float32)
    x = small_input(dtype=torch.float32)
    narrow = gradient_penalty(model, x, lengths)
    wide = gradient_penalty(model.double(), x.double(), lengths)
    assert_close(tuple(part.double() for part in narrow), wide, rtol=1e-3, atol=1e-4)


# vmap over sequences


def per_sequence(model):
    """Return the model as a function of one sequence."""
    return lambda sequence: model(sequence[None])[0]


REGULARIZERS = {
    "dropout": {"dropout": 0.5},
    "variational_dropout": {"dropout": 0.5, "options": {"variational_dropout": True}},
    "recurrent_dropout": {"options": {"recurrent_dropout": 0.5}},
    "zoneout": {"options": {"zoneout": 0.5}},
}


@pytest.mark.parametrize("changes", REGULARIZERS.values(), ids=REGULARIZERS)
def test_vmap_randomness_applies_in_training(changes):
    model, x = small_model("lstm_cell", **changes), small_input()[:1].expand(4, -1, -1)
    different, same = (vmap(per_sequence(model), randomness=how)(x) for how in ("different", "same"))
    assert len(different.unique(dim=0)) == 4
    assert_close(same, same[:1].expand_as(same))


# Autocast


@kinds_and_step_loops
@directions
@with_or_without_lengths
def test_autocast_is_close_to_float32(name, force_step_loop, bidirectional, lengths):
    model = model_of(name, force_step_loop=force_step_loop, bidirectional=bidirectional, dtype=torch.float32)
    x = small_input(dtype=torch.float32)
    expected, expected_state = model(x, lengths=lengths, return_state=True)
    again = model(x, expected_state, lengths=lengths)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = model(x, lengths=lengths, return_state=True)
        y_again = model(x, detach_state(state), lengths=lengths)
        loss = y.float().square().sum() + y_again.float().square().sum()
    loss.backward()

    assert y.dtype == torch.bfloat16
    for actual, wide in ((y, expected), (state, expected_state), (y_again, again)):
        assert_close(map_state(torch.Tensor.float, actual), wide, rtol=0, atol=0.05)
    for parameter in model.parameters():
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all()


class OneDtype(Cell):
    """h_t = (h_{t-1} + tanh(W x_t + U h_{t-1})) / 2 by functions that refuse mixed dtypes."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)

    def project(self, x):
        return F.linear(x, self.weight_ih)

    def step(self, projected_t, state):
        new = torch.tanh(torch.addmm(projected_t, state.h, self.weight_hh.T))
        h = torch.lerp(state.h, new, 0.5)
        return h, CellState(h)


@directions
@with_or_without_lengths
def test_step_inputs_have_one_dtype_under_autocast(bidirectional, lengths):
    with register_kind(cell_kind(OneDtype, name="one_dtype", summary="Made for one test.")) as kind:
        model = small_model(kind.name, bidirectional=bidirectional, dtype=torch.float32)
    x = small_input(dtype=torch.float32)
    expected = model(x, lengths=lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = model(x, lengths=lengths, return_state=True)
        model(x, state, lengths=lengths)
    assert_close(y.float(), expected, rtol=0, atol=0.05)


# Long sequences


@kinds_and_step_loops
def test_4096_steps_equal_four_pieces_of_1024(name, force_step_loop):
    """Forward and backward: nothing overflows, and no step is lost between the pieces."""
    sizes = {"hidden_size": 4, "num_layers": 1, "readout": "all"}
    model = model_of(name, force_step_loop=force_step_loop, **sizes)
    x = torch.randn(2, 4096, 3, dtype=torch.float64, requires_grad=True)
    whole, final = model(x, return_state=True)
    pieces, state = [], None
    for piece in x.split(1024, dim=1):
        y, state = model(piece, state, return_state=True)
        pieces.append(y)
    assert whole.isfinite().all()
    assert_close((torch.cat(pieces, dim=1), state), (whole, final))
    wanted = [x, *model.parameters()]
    of_whole = torch.autograd.grad(total(whole, final), wanted)
    of_pieces = torch.autograd.grad(total(torch.cat(pieces, dim=1), state), wanted)
    assert_close(of_pieces, of_whole)
