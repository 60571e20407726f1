"""Every option of a stack of cells does what its docstring says, by formulas written out here in float64."""

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
    list_kinds,
    register_kind,
)
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_builtin.lstm_cell import LSTMCell, LSTMCellState
from rnnkit_builtin.mixed import MixedOptions
from rnnkit_builtin.rnn_cell import RNNCell
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
TWO_OF_ONE_SORT = {"cells": ("rnn_cell", "lstm_cell")}  # both may have recurrent dropout
stacks = pytest.mark.parametrize("stack", STACKS)
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_directions"])
biases = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
maskable = pytest.mark.parametrize(
    ("stack", "own"), [("rnn_cell", {}), ("lstm_cell", {}), ("mixed", TWO_OF_ONE_SORT)], ids=["rnn", "lstm", "mixed"]
)


# What they are compared with: torch's own cells in a loop


def composed(model, x, state, *, way=None, drop=lambda x, _layer: x, finish=lambda output, _read, _layer: output):
    """The output and the final state of the model's cells, layer by layer.

    Args:
        model: gives the cells.
        x: `(batch, time, features)`.
        state: the state before the first step.
        way: from a cell and its index to its step, from x_t and a state to the next state; None: that of torch.
        drop: what is done to what a layer above the first reads.
        finish: what a layer hands on, from what its cells put out, what it read before `drop`, and its index.
    """
    cells, count, finals = model.backbone.cells, model.spec.directions, []
    for layer in range(model.spec.num_layers):
        read, ways = (drop(x, layer) if layer else x), []
        for index in range(layer * count, layer * count + count):
            step = way(cells[index], index) if way else torch_way(cells[index])
            outputs, final = through_time(step, read, state[index], reverse=index > layer * count)
            ways.append(outputs)
            finals.append(final)
        x = finish(torch.cat(ways, dim=-1), x, layer)
    return x, tuple(finals)


def through_time(step, x, state, *, reverse):
    outputs = []
    for x_t in reversed(x.unbind(1)) if reverse else x.unbind(1):
        state = step(x_t, state)
        outputs.append(state.h)
    return torch.stack(outputs[::-1] if reverse else outputs, dim=1), state


def torch_way(cell):
    """The step of torch's own cell, with the parameters of ours."""
    make = TORCH_CELLS[type(cell)]
    twin = make(cell.input_size, cell.hidden_size, bias=cell.bias_ih is not None, device="meta")

    def step(x_t, state):
        before = tuple(state) if len(state) > 1 else state.h
        after = functional_call(twin, dict(cell.named_parameters()), (x_t, before))
        return type(state)(*after) if len(state) > 1 else type(state)(after)

    return step


def randomized(model):
    """All parameters random: gains, biases and initial states too, which start at ones and zeros."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model


def given(model):
    """An input and a state that want gradients."""
    return small_input().requires_grad_(), map_state(torch.Tensor.requires_grad_, random_state(model))


def assert_same(actual, expected):
    """Outputs and states are equal up to rounding in float64."""
    torch.testing.assert_close(leaves(actual), leaves(expected), rtol=1e-9, atol=1e-12)


def assert_same_with_gradients(model, inputs, actual, expected):
    """Also the gradients of the input, of the state before and of every parameter of the backbone."""
    assert_same(actual, expected)
    wanted = [*leaves(inputs), *model.backbone.parameters()]
    assert_same(torch.autograd.grad(total(*actual), wanted), torch.autograd.grad(total(*expected), wanted))


def seeded(call, seed=5):
    torch.manual_seed(seed)
    return call()


def watched(model, x, state):
    """For each cell, what it read at each of its steps, the state before and the state after."""
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


def residual(output, read, layer):
    return output + read if layer else output


def normalized_output(model):
    def finish(output, _read, layer):
        norm = model.backbone.norms[layer]
        return F.layer_norm(output, output.shape[-1:], norm.weight, norm.bias)

    return finish


@stacks
@directions
def test_a_residual_layer_adds_what_it_reads(stack, bidirectional):
    model = small_model(stack, num_layers=3, bidirectional=bidirectional, options={"residual": True})
    inputs = given(model)
    expected = composed(model, *inputs, finish=residual)
    assert_same_with_gradients(model, inputs, model.backbone(*inputs), expected)


@stacks
@directions
def test_dropout_cuts_the_branch_and_leaves_the_skip(stack, bidirectional):
    """Dropping everything leaves a cell that reads zeros, and the sum with what came in."""
    model = small_model(stack, num_layers=3, bidirectional=bidirectional, dropout=1.0, options={"residual": True})
    inputs = given(model)
    expected = composed(model, *inputs, drop=lambda x, _layer: x * 0, finish=residual)
    assert_same_with_gradients(model, inputs, model.train().backbone(*inputs), expected)


@stacks
@directions
def test_layer_norm_of_the_output_normalizes_what_a_layer_hands_on(stack, bidirectional):
    """Of both directions together; the states are those of the cells."""
    model = small_model(stack, bidirectional=bidirectional, options={"layer_norm": "output"})
    inputs = given(randomized(model))
    expected = composed(model, *inputs, finish=normalized_output(model))
    assert_same_with_gradients(model, inputs, model.backbone(*inputs), expected)


@directions
def test_a_residual_layer_adds_what_it_reads_after_the_layer_norm(bidirectional):
    options = {"residual": True, "layer_norm": "output"}
    model = randomized(small_model("mixed", num_layers=3, bidirectional=bidirectional, options=options))
    inputs, norm = given(model), normalized_output(model)
    expected = composed(model, *inputs, finish=lambda *args: residual(norm(*args), *args[1:]))
    assert_same_with_gradients(model, inputs, model.backbone(*inputs), expected)


@stacks
@directions
def test_layers_of_different_sizes_are_their_composition(stack, bidirectional):
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
    """Equation 4 of the paper: by the mean and the variance of a row's features; torch's epsilon."""
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
    [*((stack, {}) for stack in STACKS), ("mixed", TWO_OF_ONE_SORT)],
    ids=[*STACKS, "mixed-rnn-lstm"],
)
@directions
@biases
def test_layer_norm_inside_the_gates_is_its_formula(stack, own, bidirectional, bias):
    options = {"layer_norm": "gates", **own}
    model = randomized(small_model(stack, bidirectional=bidirectional, bias=bias, options=options))
    inputs = given(model)

    def way(cell, _index):
        return lambda x_t, state: NORMALIZED[type(cell)](cell, x_t, state)

    assert_same_with_gradients(model, inputs, model.backbone(*inputs), composed(model, *inputs, way=way))


@stacks
@pytest.mark.parametrize("where", ["output", "gates"])
def test_gains_start_at_one_and_their_biases_at_zero(stack, where):
    model = small_model(stack, options={"layer_norm": where})
    norms = [module for module in model.backbone.modules() if isinstance(module, nn.LayerNorm)]
    assert len(norms) >= model.spec.num_layers
    assert all(norm.weight.eq(1).all() for norm in norms)
    assert all(norm.bias is None or norm.bias.eq(0).all() for norm in norms)


# Variational dropout (Gal and Ghahramani, arXiv 1512.05287)


def between_layers(model, x, state):
    """For each layer above the first, what the layer below put out divides of what it reads: `(batch, time, ...)`."""
    count = model.spec.directions
    seen = [[torch.stack(parts, dim=1) for parts in columns(steps)] for steps in watched(model, x, state)]
    masks = []
    for first in range(count, len(seen), count):
        read = seen[first][0]
        below = [h if way == 0 else h.flip(1) for way, (_, h) in enumerate(seen[first - count : first])]
        masks.append((read / torch.cat(below, dim=-1)).detach())
        assert count == 1 or torch.equal(seen[first + 1][0].flip(1), read), "the directions read different things"
    return masks


def columns(steps):
    return zip(*((x_t, after.h) for x_t, _, after in steps), strict=True)


def assert_is_mask(mask, dropout):
    """Of zeros and 1 / (1 - dropout), different for each row and feature."""
    kept = mask.ne(0)
    torch.testing.assert_close(mask, kept.to(mask.dtype) / (1 - dropout))
    assert not torch.equal(kept, kept[:1].expand_as(kept)), "all rows have the same mask"
    assert not torch.equal(kept, kept[..., :1].expand_as(kept)), "all features of a row are dropped together"


@stacks
@directions
def test_variational_dropout_has_one_mask_for_all_steps_of_a_row(stack, bidirectional):
    options = {"variational_dropout": True}
    model = small_model(stack, num_layers=3, bidirectional=bidirectional, dropout=0.25, options=options)
    first, second = between_layers(model, *given(model))
    for mask in (first, second):
        torch.testing.assert_close(mask, mask[:, :1].expand_as(mask))
        assert_is_mask(mask[:, 0], 0.25)
    assert not torch.allclose(first, second), "one mask for all layers"
    assert not torch.allclose(between_layers(model, *given(model))[0], first), "one mask for all calls"


def test_without_the_option_each_step_has_a_mask_of_its_own():
    model = small_model("lstm_cell", dropout=0.25)
    [mask] = between_layers(model, *given(model))
    assert_is_mask(mask[:, 0], 0.25)
    assert not torch.allclose(mask, mask[:, :1].expand_as(mask))


@stacks
@directions
def test_variational_dropout_with_its_masks_is_the_composition(stack, bidirectional):
    options = {"variational_dropout": True}
    model = small_model(stack, num_layers=3, bidirectional=bidirectional, dropout=0.25, options=options)
    inputs = given(model)
    masks = seeded(lambda: between_layers(model, *inputs))
    expected = composed(model, *inputs, drop=lambda x, layer: x * masks[layer - 1])
    assert_same_with_gradients(model, inputs, seeded(lambda: model.backbone(*inputs)), expected)


# Recurrent dropout (the same paper)


@maskable
@directions
def test_recurrent_dropout_with_its_mask_is_its_formula(stack, own, bidirectional):
    """h_t = f(x_t, mask * h_{t-1}) with one mask for all steps; the c of an LSTM is read as it is."""
    model = small_model(stack, bidirectional=bidirectional, options={"recurrent_dropout": 0.25, **own})
    inputs = given(model)
    masks = seeded(lambda: recurrent_masks(model, *inputs))

    def way(cell, index):
        step = torch_way(cell)
        return lambda x_t, state: step(x_t, state._replace(h=masks[index] * state.h))

    expected = composed(model, *inputs, way=way)
    assert_same_with_gradients(model, inputs, seeded(lambda: model.backbone(*inputs)), expected)


def recurrent_masks(model, x, state):
    """What each cell's hidden state was multiplied by before its first step."""
    first_steps = [steps[0] for steps in watched(model, x, state)]
    return [(read.h / before.h).detach() for (_, read, _), before in zip(first_steps, state, strict=True)]


@maskable
def test_each_row_and_feature_has_a_recurrent_mask_of_its_own(stack, own):
    model = small_model(stack, bidirectional=True, options={"recurrent_dropout": 0.25, **own})
    inputs = given(model)
    masks = recurrent_masks(model, *inputs)
    for mask in masks:
        assert_is_mask(mask, 0.25)
    assert not any(torch.allclose(mask, masks[0]) for mask in masks[1:]), "one mask for all cells"
    assert not torch.allclose(recurrent_masks(model, *inputs)[0], masks[0]), "one mask for all calls"


@pytest.mark.parametrize("name", ["variational_dropout", "recurrent_dropout"])
def test_masks_drop_about_as_much_as_they_say(name):
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
def test_masks_do_nothing_in_evaluation(changes, bidirectional):
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
def test_zoneout_with_its_masks_is_its_formula(stack, zoneout, bidirectional):
    """Each feature of the state keeps its value or takes the new one, which is computed from what was kept before."""
    model = small_model(stack, bidirectional=bidirectional, options={"zoneout": zoneout})
    inputs = given(model)
    masks = seeded(lambda: zoneout_masks(model, *inputs))

    def way(cell, index):
        step, mask = torch_way(cell), iter(masks[index])
        return lambda x_t, state: map_state(torch.where, next(mask), state, step(x_t, state))

    expected = composed(model, *inputs, way=way)
    assert_same_with_gradients(model, inputs, seeded(lambda: model.backbone(*inputs)), expected)


def zoneout_masks(model, x, state):
    """For each cell and each of its steps, in the order in which it takes them, where its state kept its value."""
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

    def way(cell, _index):
        step = torch_way(cell)

        def averaged(x_t, state):
            rates = type(state)(*(zoneout if isinstance(zoneout, tuple) else [zoneout] * len(state)))
            pairs = zip(rates, state, step(x_t, state), strict=True)
            return type(state)(*(rate * old + (1 - rate) * new for rate, old, new in pairs))

        return averaged

    assert_same_with_gradients(model, inputs, model.backbone(*inputs), composed(model, *inputs, way=way))


@pytest.mark.parametrize("zoneout", [0.3, (0.1, 0.6), (0.0, 0.5), (0.5, 0.0)], ids=str)
def test_zoneout_keeps_about_as_much_as_it_says(zoneout):
    model = small_model("lstm_cell", hidden_size=32, num_layers=1, options={"zoneout": zoneout})
    [masks] = zoneout_masks(model, torch.randn(32, 20, INPUT_SIZE, dtype=torch.float64), random_state(model, batch=32))
    rates = zoneout if isinstance(zoneout, tuple) else (zoneout, zoneout)
    for part, rate in zip(zip(*masks, strict=True), rates, strict=True):
        kept = torch.stack(part)
        assert kept.double().mean().item() == pytest.approx(rate, abs=0.02 if rate else 0.0)
        axes = () if rate == 0 else (0, 1, 2)  # steps, rows, features
        assert not any(torch.equal(kept, kept.narrow(axis, 0, 1).expand_as(kept)) for axis in axes)


@maskable
@directions
def test_zoneout_keeps_what_was_there_before_recurrent_dropout(stack, own, bidirectional):
    """The mask is on what the cell reads; a feature that keeps its value keeps the whole of it."""
    options = {"recurrent_dropout": 0.25, "zoneout": 0.3, **own}
    model = small_model(stack, bidirectional=bidirectional, options=options)
    inputs = given(model)
    dropped = seeded(lambda: recurrent_masks(model, *inputs))
    kept = seeded(lambda: zoneout_masks(model, *inputs))

    def way(cell, index):
        step, keeps = torch_way(cell), iter(kept[index])

        def both(x_t, state):
            after = step(x_t, state._replace(h=dropped[index] * state.h))
            return map_state(torch.where, next(keeps), state, after)

        return both

    expected = composed(model, *inputs, way=way)
    assert_same_with_gradients(model, inputs, seeded(lambda: model.backbone(*inputs)), expected)


def test_the_parts_of_a_state_are_zoned_out_apart():
    model = small_model("lstm_cell", options={"zoneout": 0.5})
    [masks, *_] = zoneout_masks(model, *given(model))
    assert not all(torch.equal(mask.h, mask.c) for mask in masks)


# A learned initial state


def learning(stack, **changes):
    options = {"learn_initial_state": True, **changes.pop("options", {})}
    return small_model(stack, options=options, readout="all", **changes)


def learned_state(model):
    """The parameters, where the parts of the state of one row stand."""
    return tuple(
        cell.State(*(model.get_parameter(f"backbone.initial.{index}.{part}") for part in cell.State._fields))
        for index, cell in enumerate(model.backbone.cells)
    )


@stacks
@directions
def test_a_learned_initial_state_is_a_parameter_for_each_layer_direction_and_part(stack, bidirectional):
    model = learning(stack, bidirectional=bidirectional, hidden_size=(5, 4))
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
def test_a_learned_initial_state_starts_at_zero(stack, bidirectional):
    model = learning(stack, bidirectional=bidirectional)
    plain = small_model(stack, readout="all", bidirectional=bidirectional)
    missing, unexpected = plain.load_state_dict(model.state_dict(), strict=False)
    assert missing == []
    assert all(name.startswith("backbone.initial.") for name in unexpected)
    x = small_input()
    assert_same(model(x, return_state=True), plain(x, return_state=True))


@stacks
@directions
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no_lengths", "lengths"])
def test_a_learned_initial_state_is_where_a_row_starts(stack, bidirectional, lengths):
    model = randomized(learning(stack, bidirectional=bidirectional))
    state, x = model.initial_state(BATCH), small_input()
    assert_same(state, map_state(lambda part: part.expand(BATCH, -1), learned_state(model)))
    y, final = model(x, lengths=lengths, return_state=True)
    assert_same((y, final), model(x, state, lengths=lengths, return_state=True))
    if lengths is not None:
        assert_same(map_state(lambda part: part[2], final), map_state(lambda part: part[2], state))


@stacks
def test_a_learned_initial_state_is_where_a_stream_starts(stack):
    model = randomized(learning(stack))
    x = small_input()
    assert_same(model.step(x[:, 0]), model.step(x[:, 0], model.initial_state(BATCH)))
    assert_same(model.step(x[:, 0])[0], model(x)[:, 0])


@stacks
def test_a_state_that_is_given_goes_before_the_learned_one(stack):
    model, other = randomized(learning(stack)), learning(stack)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        for parameter in other.backbone.initial.parameters():
            parameter.add_(1)
    x, state = small_input(), random_state(model)
    assert_same(model(x, state), other(x, state))
    assert not torch.allclose(model(x), other(x))


@stacks
@directions
def test_a_learned_initial_state_gets_the_gradient_of_all_its_rows(stack, bidirectional):
    """A row without steps has the learned state as its final one, and so counts too."""
    model, x = randomized(learning(stack, bidirectional=bidirectional)), small_input()
    state = map_state(lambda part: part.detach().repeat(BATCH, 1).requires_grad_(), learned_state(model))
    of_learned = torch.autograd.grad(total(*model(x, lengths=LENGTHS, return_state=True)), leaves(learned_state(model)))
    of_given = torch.autograd.grad(total(*model(x, state, lengths=LENGTHS, return_state=True)), leaves(state))
    assert_same(of_learned, [part.sum(0) for part in of_given])


def test_a_learned_initial_state_comes_where_and_in_what_it_is_asked_for():
    model = learning("lstm_cell")
    assert {part.dtype for part in leaves(model.initial_state(2, dtype=torch.float32))} == {torch.float32}
    assert all(part.is_meta for part in leaves(model.initial_state(2, device="meta")))
    assert {part.dtype for part in leaves(model.initial_state(2))} == {torch.float64}


class Warm(Cell):
    """A cell that does not start at zero."""

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
def test_the_initial_state_is_what_the_cell_says(learned):
    with register_kind(cell_kind(Warm, name="warm", summary="Starts at a half.")) as local:
        model = small_model(local.name, options={"learn_initial_state": learned})
    assert all(part.eq(0.5).all() for part in leaves(model.initial_state(BATCH)))


# Layers of different kinds


def test_layers_of_different_kinds_are_one_layer_models_on_top_of_each_other():
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
def test_fewer_names_than_layers_repeat(names, num_layers, expected, bidirectional):
    model = small_model("mixed", num_layers=num_layers, bidirectional=bidirectional, options={"cells": names})
    found = [type(cell) for cell in model.backbone.cells]
    assert found == [cell for cell in expected for _ in range(model.spec.directions)]


@directions
def test_the_pattern_of_kinds_is_torchs_own_cells_in_turn(bidirectional):
    names = ("rnn_cell", "lstm_cell", "gru_cell")
    model = small_model("mixed", num_layers=3, bidirectional=bidirectional, options={"cells": names})
    inputs = given(model)
    assert_same_with_gradients(model, inputs, model.backbone(*inputs), composed(model, *inputs))


def test_the_names_of_kinds_become_canonical_and_survive_json():
    spec = small_spec("mixed", options={"cells": ["rnnkit/lstm_cell", "gru_cell"]})
    assert spec.options.cells == ("lstm_cell", "gru_cell")
    assert spec == small_spec("mixed", options={"cells": ("lstm_cell", "gru_cell")})
    again = RecurrentSpec.from_json(spec.to_json())
    assert again == spec
    assert type(again.options) is MixedOptions


def test_a_local_kind_can_be_a_layer():
    with register_kind(cell_kind(Warm, name="warm", summary="Starts at a half.")):
        spec = small_spec("mixed", options={"cells": ("lstm_cell", "warm")})
        assert spec.options.cells == ("lstm_cell", "local/warm")
        assert RecurrentSpec.from_json(spec.to_json()) == spec
        model = build_model(spec, dtype=torch.float64)
    inputs = given(model)

    def way(cell, _index):
        return torch_way(cell) if isinstance(cell, LSTMCell) else lambda x_t, state: cell.step(x_t, state)[1]

    assert_same_with_gradients(model, inputs, model.backbone(*inputs), composed(model, *inputs, way=way))


class ScaledOptions(StackOptions):
    scale: float = 3.0


class Scaled(Warm):
    """A cell whose constructor leaves the default to the options of its kind."""

    def __init__(self, input_size, hidden_size, *, scale, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.scale = scale


@pytest.fixture
def scaled():
    with register_kind(cell_kind(Scaled, name="scaled", summary="Has an option.", options=ScaledOptions)) as local:
        yield local.name


def test_a_cell_in_a_mixed_stack_has_the_options_of_its_kind_at_their_defaults(scaled):
    model = small_model("mixed", options={"cells": ("lstm_cell", scaled)})
    assert model.backbone.cells[1].scale == 3.0


def test_orthogonal_weights_go_with_the_options_of_a_kind(scaled):
    model = small_model(scaled, options={"recurrent_init": "orthogonal", "scale": 2.0})
    assert model.backbone.cells[1].scale == 2.0
    weight = model.backbone.cells[1].weight_hh
    torch.testing.assert_close(weight @ weight.T, torch.eye(6, dtype=torch.float64))


# Every option at once with all that is promised of a model

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


def can_honour(stack, name):
    if name in LSTM_ONLY:
        return stack == "lstm_cell"
    return name != "recurrent_dropout" or stack in {"rnn_cell", "lstm_cell"}


CASES = [(stack, name) for name in OPTION_SETS for stack in STACKS if can_honour(stack, name)]
options = pytest.mark.parametrize(("stack", "name"), CASES, ids=[f"{s}-{n}" for s, n in CASES])


def optioned(stack, name, **changes):
    return randomized(small_model(stack, **{"readout": "all", **OPTION_SETS[name], **changes}))


def test_no_option_of_stacks_is_left_out_here():
    tried = {option for changes in OPTION_SETS.values() for option in changes.get("options", {})}
    assert tried == {field.name for field in fields(StackOptions)}
    assert set(STACKS) == {name for name in list_kinds("rnnkit/*") if issubclass(get_kind(name).options, StackOptions)}


@options
def test_two_halves_equal_the_whole(stack, name):
    model, x = optioned(stack, name).eval(), small_input()
    state = random_state(model)
    whole, final = model(x, state, return_state=True)
    y_first, between = model(x[:, :2], state, return_state=True)
    y_second, final_of_halves = model(x[:, 2:], between, return_state=True)
    assert_same((torch.cat([y_first, y_second], dim=1), final_of_halves), (whole, final))


@options
def test_step_by_step_equals_forward(stack, name):
    model, x = optioned(stack, name).eval(), small_input()
    outputs, state = [], None
    for x_t in x.unbind(1):
        y_t, state = model.step(x_t, state)
        outputs.append(y_t)
    assert_same((torch.stack(outputs, dim=1), state), model(x, return_state=True))


@options
@directions
def test_padding_changes_nothing(stack, name, bidirectional):
    """Each row is what it is alone, cut at its length: outputs, states, and the gradients of all parameters."""
    model, x = optioned(stack, name, bidirectional=bidirectional).eval(), small_input()
    state = random_state(model)
    padded = x.masked_fill((torch.arange(TIME) >= LENGTHS[:, None])[..., None], float("nan"))
    together = model(padded, state, lengths=LENGTHS, return_state=True)
    alone = each_row_alone(model, x, state)
    assert_same(together, alone)
    parameters = list(model.parameters())
    of_together, of_alone = (
        torch.autograd.grad(total(*result), parameters, allow_unused=True, materialize_grads=True)
        for result in (together, alone)
    )
    assert_same(of_together, of_alone)


def each_row_alone(model, x, state):
    outputs, finals = [], []
    for row, length in enumerate(LENGTHS.tolist()):
        final = map_state(lambda part, row=row: part[row : row + 1], state)
        y = x.new_zeros(1, 0, model.spec.output_size)
        if length:
            y, final = model(x[row : row + 1, :length], final, return_state=True)
        outputs.append(F.pad(y, (0, 0, 0, TIME - length)))
        finals.append(final)
    return torch.cat(outputs), map_state(lambda *parts: torch.cat(parts), *finals)


@options
@directions
def test_a_plain_loop_computes_the_same(stack, name, bidirectional):
    model = optioned(stack, name, bidirectional=bidirectional).eval()
    inputs = given(model)
    fast = model.backbone(*inputs, lengths=LENGTHS)
    model.backbone.force_step_loop = True
    plain = model.backbone(*inputs, lengths=LENGTHS)
    assert_same(fast, plain)
    wanted = [*leaves(inputs), *model.backbone.cells.parameters()]
    assert_same(torch.autograd.grad(total(*fast), wanted), torch.autograd.grad(total(*plain), wanted))


@options
def test_a_clone_computes_the_same(stack, name):
    model, other, x = optioned(stack, name), optioned(stack, name), small_input()
    other.load_state_dict(model.state_dict())
    expected = model.eval()(x)
    for clone in (other, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(clone.eval()(x), expected)
        assert clone.spec == model.spec


@options
@directions
def test_the_meta_device_allocates_nothing(stack, name, bidirectional):
    """100,000 features would take a hundred gigabytes and more."""
    changes = OPTION_SETS[name] if "hidden_size" in OPTION_SETS[name] else {"hidden_size": 100_000, **OPTION_SETS[name]}
    model = build_model(small_spec(stack, bidirectional=bidirectional, **changes), device="meta")
    assert all(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    for mode in (True, False):
        y, final = model.train(mode)(torch.empty(BATCH, TIME, INPUT_SIZE, device="meta"), return_state=True)
        assert y.shape == (BATCH, 2)
        assert all(part.is_meta for part in leaves(final))


@options
def test_a_spec_with_the_option_survives_json(stack, name):
    spec = small_spec(stack, **OPTION_SETS[name])
    again = RecurrentSpec.from_json(spec.to_json())
    assert again == spec
    assert again.options == spec.options


@pytest.mark.parametrize(("stack", "name"), [case for case in CASES if case[1] in RANDOM], ids="-".join)
@directions
def test_a_seed_repeats_what_happens_in_training(stack, name, bidirectional):
    model, x = optioned(stack, name, bidirectional=bidirectional).train(), small_input()
    once, again = (seeded(lambda: model(x, lengths=LENGTHS, return_state=True)) for _ in range(2))
    assert all(map(torch.equal, leaves(once), leaves(again)))
    assert not torch.allclose(model(x, lengths=LENGTHS), once[0])


@pytest.mark.parametrize(("stack", "name"), [case for case in CASES if case[1] in RANDOM], ids="-".join)
@directions
def test_training_keeps_the_states_of_rows_that_have_ended(stack, name, bidirectional):
    """The row without steps keeps its state; the content of the padding changes nothing under one seed."""
    model, x = optioned(stack, name, bidirectional=bidirectional).train(), small_input()
    state = random_state(model)
    padded = x.masked_fill((torch.arange(TIME) >= LENGTHS[:, None])[..., None], float("nan"))
    clean, dirty = (seeded(lambda z=z: model(z, state, lengths=LENGTHS, return_state=True)) for z in (x, padded))
    assert_same(dirty, clean)
    assert_same(map_state(lambda part: part[2], dirty[1]), map_state(lambda part: part[2], state))


# Parts of a state that are no floating-point numbers


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
        read = F.linear(projected_t, self.weight_ih) + F.linear(state.h, self.weight_hh)
        h = torch.tanh(read + state.count)
        return h, Counting(h, state.count + 1)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("options", [{"learn_initial_state": True}, {"zoneout": 0.5}, {"zoneout": (0.5, 0.5)}], ids=str)
def test_whole_numbers_in_a_state_are_neither_learned_nor_zoned_out(options, training):
    with register_kind(cell_kind(Counter, name="counter", summary="Made for one test.")) as kind:
        model = small_model(kind.name, options=options).train(training)
    assert all(parameter.is_floating_point() for parameter in model.parameters())
    _, state = model(small_input(), lengths=LENGTHS, return_state=True)
    for part in state:
        assert torch.equal(part.count, LENGTHS[:, None])
        assert part.h.dtype == torch.float64
    y, _ = model(small_input(), return_state=True)
    y.sum().backward()
