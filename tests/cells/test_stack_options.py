"""Options of stacks of cells, compared with formulas in float64."""

import copy
import pickle
from dataclasses import fields
from itertools import pairwise
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from rnnkit import (
    Cell,
    CellState,
    RecurrentSpec,
    StackOptions,
    build_model,
    cell_kind,
    get_kind,
    register_kind,
)
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_builtin.lstm_cell import LSTMCell, LSTMCellState
from rnnkit_builtin.mixed import MixedOptions
from rnnkit_builtin.rnn_cell import RNNCell
from tests.helpers.kinds import CORE
from tests.helpers.models import (
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
STACKS = ["rnn_cell", "gru_cell", "lstm_cell", "mixed"]
TORCH_CELLS = {RNNCell: nn.RNNCell, GRUCell: nn.GRUCell, LSTMCell: nn.LSTMCell}
MASKABLE_CELLS = {"cells": ("rnn_cell", "lstm_cell")}  # both support recurrent dropout
stacks = pytest.mark.parametrize("stack", STACKS)
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
biases = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
maskable = pytest.mark.parametrize(
    ("stack", "own"), [("rnn_cell", {}), ("lstm_cell", {}), ("mixed", MASKABLE_CELLS)], ids=["rnn", "lstm", "mixed"]
)


# The reference: torch's cells in a loop


def composed(
    model, x, state, *, make_step=None, drop=lambda x, _layer: x, finish=lambda output, _layer_input, _layer: output
):
    """Run the model's cells layer by layer; return the output and the final state.

    Args:
        model: the model with the cells.
        x: `(batch, time, features)`.
        state: the state before the first step.
        make_step: maps a cell and its index to its step, a function of x_t and the state; None: torch's cell.
        drop: dropout, applied to the input of each layer above the first.
        finish: maps the output of a layer's cells, its input before `drop`, and its index to the output of the layer.
    """
    cells, count, finals = model.backbone.cells, model.spec.directions, []
    for layer in range(model.spec.num_layers):
        layer_input, directions = (drop(x, layer) if layer else x), []
        for index in range(layer * count, layer * count + count):
            step = make_step(cells[index], index) if make_step else torch_step(cells[index])
            outputs, final = through_time(step, layer_input, state[index], reverse=index > layer * count)
            directions.append(outputs)
            finals.append(final)
        x = finish(torch.cat(directions, dim=-1), x, layer)
    return x, tuple(finals)


def through_time(step, x, state, *, reverse):
    outputs = []
    for x_t in reversed(x.unbind(1)) if reverse else x.unbind(1):
        state = step(x_t, state)
        outputs.append(state.h)
    return torch.stack(outputs[::-1] if reverse else outputs, dim=1), state


def torch_step(cell):
    """Return the step of torch's cell with the parameters of ours."""
    make = TORCH_CELLS[type(cell)]
    twin = make(cell.input_size, cell.hidden_size, bias=cell.bias_ih is not None, device="meta")

    def step(x_t, state):
        before = tuple(state) if len(state) > 1 else state.h
        after = functional_call(twin, dict(cell.named_parameters()), (x_t, before))
        return type(state)(*after) if len(state) > 1 else type(state)(after)

    return step


def randomized(model):
    """Randomize all parameters, including gains, biases and initial states."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model


def given(model):
    """Return an input and a state that require gradients."""
    return small_input().requires_grad_(), map_state(torch.Tensor.requires_grad_, random_state(model))


def assert_same(actual, expected):
    """Outputs and states are equal up to rounding in float64."""
    torch.testing.assert_close(leaves(actual), leaves(expected), rtol=1e-9, atol=1e-12)


def assert_same_with_gradients(model, inputs, actual, expected):
    """Outputs, states and the gradients of the input, initial state and parameters of the backbone are equal."""
    assert_same(actual, expected)
    wanted = [*leaves(inputs), *model.backbone.parameters()]
    assert_same(torch.autograd.grad(total(*actual), wanted), torch.autograd.grad(total(*expected), wanted))


def seeded(call, seed=5):
    torch.manual_seed(seed)
    return call()


def watched(model, x, state):
    """Return the input, the state before and the state after each step of each cell."""
    seen = [[] for _ in model.backbone.cells]
    handles = [
        cell.register_forward_hook(lambda _cell, inputs, result, steps=steps: steps.append((*inputs, result[1])))
        for cell, steps in zip(model.backbone.cells, seen, strict=True)
    ]
    model.backbone(x, state)
    for handle in handles:
        handle.remove()
    return seen


# Between layers


def residual(output, layer_input, layer):
    return output + layer_input if layer else output


def normalized_output(model):
    def finish(output, _layer_input, layer):
        norm = model.backbone.norms[layer]
        return F.layer_norm(output, output.shape[-1:], norm.weight, norm.bias)

    return finish


@stacks
@directions
def test_residual_layer_adds_its_input(stack, bidirectional):
    model = small_model(stack, num_layers=3, bidirectional=bidirectional, options={"residual": True})
    inputs = given(model)
    expected = composed(model, *inputs, finish=residual)
    assert_same_with_gradients(model, inputs, model.backbone(*inputs), expected)


@stacks
@directions
def test_dropout_acts_on_the_branch_and_not_on_the_skip_connection(stack, bidirectional):
    """With dropout=1 the cell reads zeros, and the layer's input is added undropped."""
    model = small_model(stack, num_layers=3, bidirectional=bidirectional, dropout=1.0, options={"residual": True})
    inputs = given(model)
    expected = composed(model, *inputs, drop=lambda x, _layer: x * 0, finish=residual)
    assert_same_with_gradients(model, inputs, model.train().backbone(*inputs), expected)


@stacks
@directions
def test_output_layer_norm_normalizes_the_output_of_each_layer(stack, bidirectional):
    """The directions are normalized as one vector; the states are not normalized."""
    model = small_model(stack, bidirectional=bidirectional, options={"layer_norm": "output"})
    inputs = given(randomized(model))
    expected = composed(model, *inputs, finish=normalized_output(model))
    assert_same_with_gradients(model, inputs, model.backbone(*inputs), expected)


@directions
def test_residual_connection_follows_the_layer_norm(bidirectional):
    options = {"residual": True, "layer_norm": "output"}
    model = randomized(small_model("mixed", num_layers=3, bidirectional=bidirectional, options=options))
    inputs, norm = given(model), normalized_output(model)
    expected = composed(model, *inputs, finish=lambda *args: residual(norm(*args), *args[1:]))
    assert_same_with_gradients(model, inputs, model.backbone(*inputs), expected)


@stacks
@directions
def test_layers_of_different_sizes(stack, bidirectional):
    model = small_model(stack, num_layers=3, hidden_size=(5, 7, 4), bidirectional=bidirectional)
    inputs = given(model)
    output, final = model.backbone(*inputs)
    of_each_cell = [5, 5, 7, 7, 4, 4] if bidirectional else [5, 7, 4]
    assert [state.h.shape for state in final] == [(BATCH, size) for size in of_each_cell]
    assert output.shape == (BATCH, TIME, model.backbone.features)
    assert model.backbone.features == sum(of_each_cell[-model.spec.directions :])
    assert_same_with_gradients(model, inputs, (output, final), composed(model, *inputs))


# Layer normalization inside the gates (Ba et al., arXiv 1607.06450)


def normalized(x, gain, bias=0.0):
    """The layer norm of the paper, with torch's epsilon."""
    mean = x.mean(-1, keepdim=True)
    variance = (x - mean).square().mean(-1, keepdim=True)
    return gain * (x - mean) / (variance + 1e-5).sqrt() + bias


def bias_of(cell, *, slices=slice(None)):
    return (0.0, 0.0) if cell.bias_ih is None else (cell.bias_ih[slices], cell.bias_hh[slices])


def normalized_rnn(cell, x_t, state):
    b_i, b_h = bias_of(cell)
    summed = x_t @ cell.weight_ih.T + state.h @ cell.weight_hh.T
    return CellState(torch.tanh(normalized(summed, cell.norm.weight) + b_i + b_h))


def normalized_gru(cell, x_t, state):
    rz, n = slice(0, 2 * cell.hidden_size), slice(2 * cell.hidden_size, None)
    from_x, from_h = x_t @ cell.weight_ih.T, state.h @ cell.weight_hh.T
    (b_i, b_h), (b_in, b_hn) = bias_of(cell, slices=rz), bias_of(cell, slices=n)
    (g_i, g_in), (g_h, g_hn) = ([part.weight for part in norm.norms] for norm in (cell.norm_ih, cell.norm_hh))
    r, z = torch.sigmoid(normalized(from_x[:, rz], g_i) + b_i + normalized(from_h[:, rz], g_h) + b_h).chunk(2, -1)
    new = torch.tanh(normalized(from_x[:, n], g_in) + b_in + r * (normalized(from_h[:, n], g_hn) + b_hn))
    return CellState((1 - z) * new + z * state.h)


def normalized_lstm(cell, x_t, state):
    b_i, b_h = bias_of(cell)
    [g_i], [g_h] = ([part.weight for part in norm.norms] for norm in (cell.norm_ih, cell.norm_hh))
    gates = normalized(x_t @ cell.weight_ih.T, g_i) + normalized(state.h @ cell.weight_hh.T, g_h) + b_i + b_h
    i, f, g, o = gates.chunk(4, -1)
    c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(g)
    bias = 0.0 if cell.norm_c.bias is None else cell.norm_c.bias
    return LSTMCellState(torch.sigmoid(o) * torch.tanh(normalized(c, cell.norm_c.weight, bias)), c)


NORMALIZED = {RNNCell: normalized_rnn, GRUCell: normalized_gru, LSTMCell: normalized_lstm}


@pytest.mark.parametrize(
    ("stack", "own"),
    [*((stack, {}) for stack in STACKS), ("mixed", MASKABLE_CELLS)],
    ids=[*STACKS, "mixed-rnn-lstm"],
)
@directions
@biases
def test_layer_norm_inside_the_gates_equals_its_formula(stack, own, bidirectional, bias):
    options = {"layer_norm": "gates", **own}
    model = randomized(small_model(stack, bidirectional=bidirectional, bias=bias, options=options))
    inputs = given(model)

    def make_step(cell, _index):
        return lambda x_t, state: NORMALIZED[type(cell)](cell, x_t, state)

    assert_same_with_gradients(model, inputs, model.backbone(*inputs), composed(model, *inputs, make_step=make_step))


@stacks
@pytest.mark.parametrize("where", ["output", "gates"])
def test_gains_are_initialized_to_one_and_biases_to_zero(stack, where):
    model = small_model(stack, options={"layer_norm": where})
    norms = [module for module in model.backbone.modules() if isinstance(module, nn.LayerNorm)]
    assert len(norms) >= model.spec.num_layers
    assert all(norm.weight.eq(1).all() for norm in norms)
    assert all(norm.bias is None or norm.bias.eq(0).all() for norm in norms)


# Variational dropout (Gal and Ghahramani, arXiv 1512.05287)


def between_layers(model, x, state):
    """Return the dropout masks between layers, `(batch, time, ...)`: the input of a layer over the output below."""
    count = model.spec.directions
    seen = [[torch.stack(parts, dim=1) for parts in columns(steps)] for steps in watched(model, x, state)]
    masks = []
    for first in range(count, len(seen), count):
        layer_input = seen[first][0]
        below = [h.flip(1) if reverse else h for reverse, (_, h) in enumerate(seen[first - count : first])]
        masks.append((layer_input / torch.cat(below, dim=-1)).detach())
        assert count == 1 or torch.equal(seen[first + 1][0].flip(1), layer_input), (
            "the directions read different inputs"
        )
    return masks


def columns(steps):
    return zip(*((x_t, after.h) for x_t, _, after in steps), strict=True)


def assert_is_mask(mask, dropout):
    """The mask has the values 0 and 1 / (1 - dropout), and differs between sequences and features."""
    kept = mask.ne(0)
    torch.testing.assert_close(mask, kept.to(mask.dtype) / (1 - dropout))
    assert not torch.equal(kept, kept[:1].expand_as(kept)), "all sequences have the same mask"
    assert not torch.equal(kept, kept[..., :1].expand_as(kept)), "all features of a sequence are dropped together"


@stacks
@directions
def test_variational_dropout_has_one_mask_for_all_steps(stack, bidirectional):
    options = {"variational_dropout": True}
    model = small_model(stack, num_layers=3, bidirectional=bidirectional, dropout=0.25, options=options)
    first, second = between_layers(model, *given(model))
    for mask in (first, second):
        torch.testing.assert_close(mask, mask[:, :1].expand_as(mask))
        assert_is_mask(mask[:, 0], 0.25)
    assert not torch.allclose(first, second), "one mask for all layers"
    assert not torch.allclose(between_layers(model, *given(model))[0], first), "one mask for all calls"


def test_plain_dropout_has_a_mask_for_each_step():
    model = small_model("lstm_cell", dropout=0.25)
    [mask] = between_layers(model, *given(model))
    assert_is_mask(mask[:, 0], 0.25)
    assert not torch.allclose(mask, mask[:, :1].expand_as(mask))


@stacks
@directions
def test_variational_dropout_equals_its_formula(stack, bidirectional):
    options = {"variational_dropout": True}
    model = small_model(stack, num_layers=3, bidirectional=bidirectional, dropout=0.25, options=options)
    inputs = given(model)
    masks = seeded(lambda: between_layers(model, *inputs))
    expected = composed(model, *inputs, drop=lambda x, layer: x * masks[layer - 1])
    assert_same_with_gradients(model, inputs, seeded(lambda: model.backbone(*inputs)), expected)


# Recurrent dropout (the same paper)


@maskable
@directions
def test_recurrent_dropout_equals_its_formula(stack, own, bidirectional):
    """h_t = f(x_t, mask * h_{t-1}) with one mask for all steps; the c of an LSTM is not masked."""
    model = small_model(stack, bidirectional=bidirectional, options={"recurrent_dropout": 0.25, **own})
    inputs = given(model)
    masks = seeded(lambda: recurrent_masks(model, *inputs))

    def make_step(cell, index):
        step = torch_step(cell)
        return lambda x_t, state: step(x_t, state._replace(h=masks[index] * state.h))

    expected = composed(model, *inputs, make_step=make_step)
    assert_same_with_gradients(model, inputs, seeded(lambda: model.backbone(*inputs)), expected)


def recurrent_masks(model, x, state):
    """Return the mask of each cell's hidden state at its first step."""
    first_steps = [steps[0] for steps in watched(model, x, state)]
    return [(masked.h / before.h).detach() for (_, masked, _), before in zip(first_steps, state, strict=True)]


@maskable
def test_recurrent_masks_differ_between_sequences_and_features(stack, own):
    model = small_model(stack, bidirectional=True, options={"recurrent_dropout": 0.25, **own})
    inputs = given(model)
    masks = recurrent_masks(model, *inputs)
    for mask in masks:
        assert_is_mask(mask, 0.25)
    assert not any(torch.allclose(mask, masks[0]) for mask in masks[1:]), "one mask for all cells"
    assert not torch.allclose(recurrent_masks(model, *inputs)[0], masks[0]), "one mask for all calls"


@pytest.mark.parametrize("name", ["variational_dropout", "recurrent_dropout"])
def test_dropout_masks_have_their_rate(name):
    options = {"recurrent_dropout": 0.3} if name == "recurrent_dropout" else {name: True}
    dropout = 0.3 if name == "variational_dropout" else 0.0
    model = small_model("lstm_cell", hidden_size=64, dropout=dropout, options=options)
    x, state = torch.randn(64, 1, INPUT_SIZE, dtype=torch.float64), random_state(model, batch=64)
    [mask, *_] = (between_layers if dropout else recurrent_masks)(model, x, state)
    assert mask.eq(0).double().mean().item() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.5, "options": {"variational_dropout": True}},
        {"options": {"recurrent_dropout": 0.5}},
    ],
    ids=["variational_dropout", "recurrent_dropout"],
)
@directions
def test_dropout_masks_are_not_applied_in_evaluation(changes, bidirectional):
    model = small_model("lstm_cell", bidirectional=bidirectional, **changes)
    plain = small_model("lstm_cell", bidirectional=bidirectional)
    plain.load_state_dict(model.state_dict())
    inputs = given(model)
    assert_same(model.eval().backbone(*inputs), plain.backbone(*inputs))
    assert not torch.allclose(model.train().backbone(*inputs)[0], plain.backbone(*inputs)[0])


# Zoneout (Krueger et al., arXiv 1606.01305)

ZONEOUTS = [("rnn_cell", 0.3), ("gru_cell", 0.3), ("gru_cell", (0.4,)), ("lstm_cell", 0.3), ("mixed", 0.3)]
ZONEOUTS += [("lstm_cell", rates) for rates in [(0.2, 0.6), (0.0, 0.5), (0.5, 0.0)]]
zoneouts = pytest.mark.parametrize(("stack", "zoneout"), ZONEOUTS, ids=[f"{s}-{z}" for s, z in ZONEOUTS])


@zoneouts
@directions
def test_zoneout_equals_its_formula(stack, zoneout, bidirectional):
    """Each feature of the state keeps its value or takes the new one."""
    model = small_model(stack, bidirectional=bidirectional, options={"zoneout": zoneout})
    inputs = given(model)
    masks = seeded(lambda: zoneout_masks(model, *inputs))

    def make_step(cell, index):
        step, mask = torch_step(cell), iter(masks[index])
        return lambda x_t, state: map_state(torch.where, next(mask), state, step(x_t, state))

    expected = composed(model, *inputs, make_step=make_step)
    assert_same_with_gradients(model, inputs, seeded(lambda: model.backbone(*inputs)), expected)


def zoneout_masks(model, x, state):
    """Return for each step of each cell, in the order of its steps, where the state kept its value."""
    _, every = model.backbone.all_states(x, state)
    masks = []
    for index, (start, after) in enumerate(zip(state, every, strict=True)):
        reverse = index % model.spec.directions == 1
        steps = [map_state(lambda part, t=t: part[:, t], after) for t in range(x.shape[1])]
        states = [start, *(reversed(steps) if reverse else steps)]
        masks.append([map_state(torch.eq, *pair) for pair in pairwise(states)])
    return masks


@zoneouts
@directions
def test_zoneout_averages_in_evaluation(stack, zoneout, bidirectional):
    model = small_model(stack, bidirectional=bidirectional, options={"zoneout": zoneout}).eval()
    inputs = given(model)

    def make_step(cell, _index):
        step = torch_step(cell)

        def averaged(x_t, state):
            rates = type(state)(*(zoneout if isinstance(zoneout, tuple) else [zoneout] * len(state)))
            pairs = zip(rates, state, step(x_t, state), strict=True)
            return type(state)(*(rate * old + (1 - rate) * new for rate, old, new in pairs))

        return averaged

    assert_same_with_gradients(model, inputs, model.backbone(*inputs), composed(model, *inputs, make_step=make_step))


@pytest.mark.parametrize("zoneout", [0.3, (0.1, 0.6), (0.0, 0.5), (0.5, 0.0)], ids=str)
def test_zoneout_masks_have_their_rate(zoneout):
    model = small_model("lstm_cell", hidden_size=32, num_layers=1, options={"zoneout": zoneout})
    [masks] = zoneout_masks(model, torch.randn(32, 20, INPUT_SIZE, dtype=torch.float64), random_state(model, batch=32))
    rates = zoneout if isinstance(zoneout, tuple) else (zoneout, zoneout)
    for part, rate in zip(zip(*masks, strict=True), rates, strict=True):
        kept = torch.stack(part)
        assert kept.double().mean().item() == pytest.approx(rate, abs=0.02 if rate else 0.0)
        axes = () if rate == 0 else (0, 1, 2)  # steps, sequences, features
        assert not any(torch.equal(kept, kept.narrow(axis, 0, 1).expand_as(kept)) for axis in axes)


@maskable
@directions
def test_zoneout_keeps_the_state_before_recurrent_dropout(stack, own, bidirectional):
    """The dropout mask acts on the cell's input state only; zoneout keeps the undropped value."""
    options = {"recurrent_dropout": 0.25, "zoneout": 0.3, **own}
    model = small_model(stack, bidirectional=bidirectional, options=options)
    inputs = given(model)
    dropped = seeded(lambda: recurrent_masks(model, *inputs))
    kept = seeded(lambda: zoneout_masks(model, *inputs))

    def make_step(cell, index):
        step, keeps = torch_step(cell), iter(kept[index])

        def both(x_t, state):
            after = step(x_t, state._replace(h=dropped[index] * state.h))
            return map_state(torch.where, next(keeps), state, after)

        return both

    expected = composed(model, *inputs, make_step=make_step)
    assert_same_with_gradients(model, inputs, seeded(lambda: model.backbone(*inputs)), expected)


def test_parts_of_a_state_have_separate_zoneout_masks():
    model = small_model("lstm_cell", options={"zoneout": 0.5})
    [masks, *_] = zoneout_masks(model, *given(model))
    assert not all(torch.equal(mask.h, mask.c) for mask in masks)


# A learned initial state


def with_learned_state(stack, **changes):
    options = {"learn_initial_state": True, **changes.pop("options", {})}
    return small_model(stack, options=options, readout="all", **changes)


def learned_state(model):
    """Return the parameters of the initial state in the layout of a state."""
    return tuple(
        cell.State(*(model.get_parameter(f"backbone.initial.{index}.{part}") for part in cell.State._fields))
        for index, cell in enumerate(model.backbone.cells)
    )


@stacks
@directions
def test_learned_initial_state_has_a_parameter_for_each_layer_direction_and_part(stack, bidirectional):
    model = with_learned_state(stack, bidirectional=bidirectional, hidden_size=(5, 4))
    learned = {name: p.shape for name, p in model.named_parameters() if name.startswith("backbone.initial.")}
    expected = {
        f"backbone.initial.{index}.{part}": (cell.hidden_size,)
        for index, cell in enumerate(model.backbone.cells)
        for part in cell.State._fields
    }
    assert learned == expected
    assert learned.keys() <= model.state_dict().keys()


@stacks
@directions
def test_learned_initial_state_is_initialized_to_zero(stack, bidirectional):
    model = with_learned_state(stack, bidirectional=bidirectional)
    plain = small_model(stack, readout="all", bidirectional=bidirectional)
    missing, unexpected = plain.load_state_dict(model.state_dict(), strict=False)
    assert missing == []
    assert all(name.startswith("backbone.initial.") for name in unexpected)
    x = small_input()
    assert_same(model(x, return_state=True), plain(x, return_state=True))


@stacks
@directions
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no_lengths", "lengths"])
def test_learned_initial_state_is_used_by_forward(stack, bidirectional, lengths):
    model = randomized(with_learned_state(stack, bidirectional=bidirectional))
    state, x = model.initial_state(BATCH), small_input()
    assert_same(state, map_state(lambda part: part.expand(BATCH, -1), learned_state(model)))
    y, final = model(x, lengths=lengths, return_state=True)
    assert_same((y, final), model(x, state, lengths=lengths, return_state=True))
    if lengths is not None:
        assert_same(map_state(lambda part: part[2], final), map_state(lambda part: part[2], state))


@stacks
def test_learned_initial_state_is_used_by_step(stack):
    model = randomized(with_learned_state(stack))
    x = small_input()
    assert_same(model.step(x[:, 0]), model.step(x[:, 0], model.initial_state(BATCH)))
    assert_same(model.step(x[:, 0])[0], model(x)[:, 0])


@stacks
def test_given_state_overrides_the_learned_one(stack):
    model, other = randomized(with_learned_state(stack)), with_learned_state(stack)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        for parameter in other.backbone.initial.parameters():
            parameter.add_(1)
    x, state = small_input(), random_state(model)
    assert_same(model(x, state), other(x, state))
    assert not torch.allclose(model(x), other(x))


@stacks
@directions
def test_learned_initial_state_gets_the_gradient_of_all_sequences(stack, bidirectional):
    """Including sequences of length 0, whose final state is the learned one."""
    model, x = randomized(with_learned_state(stack, bidirectional=bidirectional)), small_input()
    state = map_state(lambda part: part.detach().repeat(BATCH, 1).requires_grad_(), learned_state(model))
    of_learned = torch.autograd.grad(total(*model(x, lengths=LENGTHS, return_state=True)), leaves(learned_state(model)))
    of_given = torch.autograd.grad(total(*model(x, state, lengths=LENGTHS, return_state=True)), leaves(state))
    assert_same(of_learned, [part.sum(0) for part in of_given])


def test_learned_initial_state_has_the_requested_device_and_dtype():
    model = with_learned_state("lstm_cell")
    assert {part.dtype for part in leaves(model.initial_state(2, dtype=torch.float32))} == {torch.float32}
    assert all(part.is_meta for part in leaves(model.initial_state(2, device="meta")))
    assert {part.dtype for part in leaves(model.initial_state(2))} == {torch.float64}


class Warm(Cell):
    """A cell whose initial state is not zero."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        return CellState(torch.full((batch_size, self.hidden_size), 0.5, device=device, dtype=dtype))

    def step(self, x_t, state):
        h = torch.tanh(x_t @ self.weight_ih.T + state.h @ self.weight_hh.T)
        return h, CellState(h)


@pytest.mark.parametrize("learned", [False, True], ids=["fixed", "learned"])
def test_initial_state_is_that_of_the_cell(learned):
    with register_kind(cell_kind(Warm, name="warm", summary="Starts at a half.")) as local:
        model = small_model(local.name, options={"learn_initial_state": learned})
    assert all(part.eq(0.5).all() for part in leaves(model.initial_state(BATCH)))


# Layers of different kinds


def test_mixed_stack_equals_stacked_one_layer_models():
    names = ("rnn_cell", "lstm_cell", "gru_cell")
    model = small_model("mixed", num_layers=3, readout="all", output_size=None, options={"cells": names})
    x, state = small_input(), random_state(model)
    y, final = model(x, state, return_state=True)
    finals = []
    for index, name in enumerate(names):
        cell = model.backbone.cells[index]
        alone = small_model(name, num_layers=1, input_size=cell.input_size, readout="all", output_size=None)
        alone.backbone.cells[0].load_state_dict(cell.state_dict())
        x, [after] = alone(x, (state[index],), return_state=True)
        finals.append(after)
    assert_same((y, final), (x, tuple(finals)))


@pytest.mark.parametrize(
    ("names", "num_layers", "expected"),
    [
        (None, 3, [LSTMCell, GRUCell, LSTMCell]),
        (("rnn_cell",), 2, [RNNCell, RNNCell]),
        (("gru_cell", "lstm_cell"), 4, [GRUCell, LSTMCell, GRUCell, LSTMCell]),
        (("rnn_cell", "lstm_cell", "gru_cell"), 3, [RNNCell, LSTMCell, GRUCell]),
    ],
    ids=["default", "one", "pattern", "one_for_each_layer"],
)
@directions
def test_names_of_cells_repeat(names, num_layers, expected, bidirectional):
    model = small_model("mixed", num_layers=num_layers, bidirectional=bidirectional, options={"cells": names})
    found = [type(cell) for cell in model.backbone.cells]
    assert found == [cell for cell in expected for _ in range(model.spec.directions)]


@directions
def test_mixed_stack_equals_the_cells_of_torch(bidirectional):
    names = ("rnn_cell", "lstm_cell", "gru_cell")
    model = small_model("mixed", num_layers=3, bidirectional=bidirectional, options={"cells": names})
    inputs = given(model)
    assert_same_with_gradients(model, inputs, model.backbone(*inputs), composed(model, *inputs))


def test_names_of_cells_become_canonical_and_survive_json():
    spec = small_spec("mixed", options={"cells": ["rnnkit/lstm_cell", "gru_cell"]})
    assert spec.options.cells == ("lstm_cell", "gru_cell")
    assert spec == small_spec("mixed", options={"cells": ("lstm_cell", "gru_cell")})
    again = RecurrentSpec.from_json(spec.to_json())
    assert again == spec
    assert type(again.options) is MixedOptions


def test_local_kind_in_a_mixed_stack():
    with register_kind(cell_kind(Warm, name="warm", summary="Starts at a half.")):
        spec = small_spec("mixed", options={"cells": ("lstm_cell", "warm")})
        assert spec.options.cells == ("lstm_cell", "local/warm")
        assert RecurrentSpec.from_json(spec.to_json()) == spec
        model = build_model(spec, dtype=torch.float64)
    inputs = given(model)

    def make_step(cell, _index):
        return torch_step(cell) if isinstance(cell, LSTMCell) else lambda x_t, state: cell.step(x_t, state)[1]

    assert_same_with_gradients(model, inputs, model.backbone(*inputs), composed(model, *inputs, make_step=make_step))


class ScaledOptions(StackOptions):
    scale: float = 3.0


class Scaled(Warm):
    """A cell whose constructor has no default for an option of its kind."""

    def __init__(self, input_size, hidden_size, *, scale, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.scale = scale


@pytest.fixture
def scaled():
    with register_kind(cell_kind(Scaled, name="scaled", summary="Has an option.", options=ScaledOptions)) as local:
        yield local.name


def test_cells_of_a_mixed_stack_have_the_default_options_of_their_kind(scaled):
    model = small_model("mixed", options={"cells": ("lstm_cell", scaled)})
    assert model.backbone.cells[1].scale == 3.0


def test_orthogonal_weights_with_own_options(scaled):
    model = small_model(scaled, options={"recurrent_init": "orthogonal", "scale": 2.0})
    assert model.backbone.cells[1].scale == 2.0
    weight = model.backbone.cells[1].weight_hh
    torch.testing.assert_close(weight @ weight.T, torch.eye(6, dtype=torch.float64))


# Every option with the invariants of a model

OPTION_SETS = {
    "plain": {},
    "residual": {"options": {"residual": True}},
    "layer_norm_output": {"options": {"layer_norm": "output"}},
    "layer_norm_gates": {"options": {"layer_norm": "gates"}},
    "variational_dropout": {"dropout": 0.5, "options": {"variational_dropout": True}},
    "recurrent_dropout": {"options": {"recurrent_dropout": 0.5}},
    "zoneout": {"options": {"zoneout": 0.4}},
    "zoneout_of_each_part": {"options": {"zoneout": (0.2, 0.4)}},
    "learn_initial_state": {"options": {"learn_initial_state": True}},
    "forget_bias": {"options": {"forget_bias": 1.0}},
    "recurrent_init": {"options": {"recurrent_init": "orthogonal"}},
    "hidden_size_of_each_layer": {"hidden_size": (5, 4)},
    "all_that_go_together": {
        "dropout": 0.5,
        "options": {
            "residual": True,
            "layer_norm": "output",
            "variational_dropout": True,
            "zoneout": 0.4,
            "learn_initial_state": True,
            "recurrent_init": "orthogonal",
        },
    },
}
RANDOM = ["variational_dropout", "recurrent_dropout", "zoneout", "zoneout_of_each_part", "all_that_go_together"]
LSTM_ONLY = {"forget_bias", "zoneout_of_each_part"}


def supports(stack, name):
    if name in LSTM_ONLY:
        return stack == "lstm_cell"
    return name != "recurrent_dropout" or stack in {"rnn_cell", "lstm_cell"}


CASES = [(stack, name) for name in OPTION_SETS for stack in STACKS if supports(stack, name)]
options = pytest.mark.parametrize(("stack", "name"), CASES, ids=[f"{s}-{n}" for s, n in CASES])


def model_with(stack, name, **changes):
    return randomized(small_model(stack, **{"readout": "all", **OPTION_SETS[name], **changes}))


def test_every_option_of_stacks_is_tested_here():
    tried = {option for changes in OPTION_SETS.values() for option in changes.get("options", {})}
    elsewhere = {"chrono_length", "time_feature"}  # in test_chrono.py and test_time_feature.py
    assert tried == {field.name for field in fields(StackOptions)} - elsewhere
    assert set(STACKS) == {name for name in CORE if issubclass(get_kind(name).options, StackOptions)}


@options
def test_two_halves_equal_the_whole(stack, name):
    model, x = model_with(stack, name).eval(), small_input()
    state = random_state(model)
    whole, final = model(x, state, return_state=True)
    y_first, between = model(x[:, :2], state, return_state=True)
    y_second, final_of_halves = model(x[:, 2:], between, return_state=True)
    assert_same((torch.cat([y_first, y_second], dim=1), final_of_halves), (whole, final))


@options
def test_step_by_step_equals_forward(stack, name):
    model, x = model_with(stack, name).eval(), small_input()
    outputs, state = [], None
    for x_t in x.unbind(1):
        y_t, state = model.step(x_t, state)
        outputs.append(y_t)
    assert_same((torch.stack(outputs, dim=1), state), model(x, return_state=True))


@options
@directions
def test_padding_does_not_change_results(stack, name, bidirectional):
    """Outputs, states and gradients equal those of each sequence alone, cut at its length."""
    model, x = model_with(stack, name, bidirectional=bidirectional).eval(), small_input()
    state = random_state(model)
    padded = x.masked_fill((torch.arange(TIME) >= LENGTHS[:, None])[..., None], float("nan"))
    together = model(padded, state, lengths=LENGTHS, return_state=True)
    alone = each_sequence_alone(model, x, state)
    assert_same(together, alone)
    parameters = list(model.parameters())
    of_together, of_alone = (
        torch.autograd.grad(total(*result), parameters, allow_unused=True, materialize_grads=True)
        for result in (together, alone)
    )
    assert_same(of_together, of_alone)


def each_sequence_alone(model, x, state):
    outputs, finals = [], []
    for index, length in enumerate(LENGTHS.tolist()):
        final = map_state(lambda part, index=index: part[index : index + 1], state)
        y = x.new_zeros(1, 0, model.spec.output_size)
        if length:
            y, final = model(x[index : index + 1, :length], final, return_state=True)
        outputs.append(F.pad(y, (0, 0, 0, TIME - length)))
        finals.append(final)
    return torch.cat(outputs), map_state(lambda *parts: torch.cat(parts), *finals)


@options
@directions
def test_step_loop_equals_the_fused_path(stack, name, bidirectional):
    model = model_with(stack, name, bidirectional=bidirectional).eval()
    inputs = given(model)
    fused = model.backbone(*inputs, lengths=LENGTHS)
    model.backbone.force_step_loop = True
    looped = model.backbone(*inputs, lengths=LENGTHS)
    assert_same(fused, looped)
    wanted = [*leaves(inputs), *model.backbone.cells.parameters()]
    assert_same(torch.autograd.grad(total(*fused), wanted), torch.autograd.grad(total(*looped), wanted))


@options
def test_copies_compute_the_same(stack, name):
    model, other, x = model_with(stack, name), model_with(stack, name), small_input()
    other.load_state_dict(model.state_dict())
    expected = model.eval()(x)
    for clone in (other, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(clone.eval()(x), expected)
        assert clone.spec == model.spec


@options
@directions
def test_meta_device_allocates_nothing(stack, name, bidirectional):
    """100,000 features would take over 100 GB."""
    changes = OPTION_SETS[name] if "hidden_size" in OPTION_SETS[name] else {"hidden_size": 100_000, **OPTION_SETS[name]}
    model = build_model(small_spec(stack, bidirectional=bidirectional, **changes), device="meta")
    assert all(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    for mode in (True, False):
        y, final = model.train(mode)(torch.empty(BATCH, 2, INPUT_SIZE, device="meta"), return_state=True)
        assert y.shape == (BATCH, 2)
        assert all(part.is_meta for part in leaves(final))


@options
def test_spec_survives_json(stack, name):
    spec = small_spec(stack, **OPTION_SETS[name])
    again = RecurrentSpec.from_json(spec.to_json())
    assert again == spec
    assert again.options == spec.options


@pytest.mark.parametrize(("stack", "name"), [case for case in CASES if case[1] in RANDOM], ids="-".join)
@directions
def test_training_is_reproducible_under_a_seed(stack, name, bidirectional):
    model, x = model_with(stack, name, bidirectional=bidirectional).train(), small_input()
    once, again = (seeded(lambda: model(x, lengths=LENGTHS, return_state=True)) for _ in range(2))
    assert all(map(torch.equal, leaves(once), leaves(again)))
    assert not torch.allclose(model(x, lengths=LENGTHS), once[0])


@pytest.mark.parametrize(("stack", "name"), [case for case in CASES if case[1] in RANDOM], ids="-".join)
@directions
def test_finished_sequences_keep_their_state_in_training(stack, name, bidirectional):
    """A sequence of length 0 keeps its state; the content of the padding has no effect under one seed."""
    model, x = model_with(stack, name, bidirectional=bidirectional).train(), small_input()
    state = random_state(model)
    padded = x.masked_fill((torch.arange(TIME) >= LENGTHS[:, None])[..., None], float("nan"))
    clean, dirty = (seeded(lambda z=z: model(z, state, lengths=LENGTHS, return_state=True)) for z in (x, padded))
    assert_same(dirty, clean)
    assert_same(map_state(lambda part: part[2], dirty[1]), map_state(lambda part: part[2], state))


# Integer parts of a state


class Counting(NamedTuple):
    h: torch.Tensor
    count: torch.Tensor


class Counter(Cell):
    """h_t = tanh(W x_t + U h_{t-1} + count), with a count of the steps."""

    State = Counting

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return Counting(h, torch.zeros(batch_size, 1, device=device, dtype=torch.int64))

    def state_shapes(self, batch_size):
        return Counting(torch.Size((batch_size, self.hidden_size)), torch.Size((batch_size, 1)))

    def step(self, projected_t, state):
        summed = F.linear(projected_t, self.weight_ih) + F.linear(state.h, self.weight_hh)
        h = torch.tanh(summed + state.count)
        return h, Counting(h, state.count + 1)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("options", [{"learn_initial_state": True}, {"zoneout": 0.5}, {"zoneout": (0.5, 0.5)}], ids=str)
def test_integer_parts_of_a_state_are_not_learned_or_zoned_out(options, training):
    with register_kind(cell_kind(Counter, name="counter", summary="Made for one test.")) as kind:
        model = small_model(kind.name, options=options).train(training)
    assert all(parameter.is_floating_point() for parameter in model.parameters())
    _, state = model(small_input(), lengths=LENGTHS, return_state=True)
    for part in state:
        assert torch.equal(part.count, LENGTHS[:, None])
        assert part.h.dtype == torch.float64
    y, _ = model(small_input(), return_state=True)
    y.sum().backward()
