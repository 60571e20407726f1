"""Cells: equal to torch's cells, ordinary modules within a stack, and the basis of new kinds."""

import inspect
import re
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrize, prune

from rnnkit import (
    BuildError,
    Cell,
    CellStack,
    CellState,
    Kind,
    RecurrentSpec,
    StackOptions,
    build_model,
    cell_kind,
    load_model,
    register_kind,
    save_model,
    verify_model,
)
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_builtin.lstm_cell import LSTMCell
from rnnkit_builtin.rnn_cell import RNNCell
from tests.helpers.kinds import TESTED
from tests.helpers.models import BATCH, INPUT_SIZE, TIME, leaves, map_state, random_state, small_input, small_model

STACKS = [kind for kind in TESTED if hasattr(small_model(kind).backbone, "cells")]
LENGTHS = torch.tensor([5, 2, 0, 3])
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
OF_TORCH = {RNNCell: nn.RNNCell, GRUCell: nn.GRUCell, LSTMCell: nn.LSTMCell}
stacks = pytest.mark.parametrize("stack", STACKS)
fused_kinds = pytest.mark.parametrize("fused", ["rnn_cell", "gru_cell", "lstm_cell"])
cell_classes = pytest.mark.parametrize("cell_class", OF_TORCH)
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
with_or_without_lengths = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no_lengths", "lengths"])


def assert_same(actual, expected):
    torch.testing.assert_close(leaves(actual), leaves(expected), rtol=1e-9, atol=1e-12)


# The numbers of torch's own cells


def bare(state):
    """Return the state as torch's cells take it: a tensor if it has one part."""
    return state[0] if len(state) == 1 else tuple(state)


@cell_classes
@pytest.mark.parametrize("bias", [False, True], ids=["no_bias", "bias"])
@pytest.mark.parametrize("given", [False, True], ids=["no_state", "given_state"])
def test_cell_equals_the_cell_of_torch(cell_class, bias, given):
    cell = cell_class(3, 6, bias=bias, dtype=torch.float64)
    reference = OF_TORCH[cell_class](3, 6, bias=bias, dtype=torch.float64)
    reference.load_state_dict(cell.state_dict())
    x_t = torch.randn(BATCH, 3, dtype=torch.float64)
    state = map_state(torch.randn_like, cell.initial_state(BATCH, dtype=torch.float64))
    output, after = cell(x_t, state) if given else cell(x_t)
    expected = reference(x_t, bare(state) if given else None)
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert type(after) is cell_class.State
    assert_same((output, tuple(after)), (expected[0], expected))


@cell_classes
@pytest.mark.parametrize("bias", [False, True], ids=["no_bias", "bias"])
def test_cell_loads_the_state_dict_of_torch(cell_class, bias):
    cell, reference = cell_class(3, 6, bias=bias), OF_TORCH[cell_class](3, 6, bias=bias)
    x_t = torch.randn(BATCH, 3)
    cell.load_state_dict(reference.state_dict())
    expected = reference(x_t)
    torch.testing.assert_close(cell(x_t)[0], expected[0] if isinstance(expected, tuple) else expected)


@cell_classes
def test_same_seed_gives_the_weights_of_torch(cell_class):
    torch.manual_seed(3)
    cell = cell_class(3, 6)
    torch.manual_seed(3)
    reference = OF_TORCH[cell_class](3, 6)
    assert [name for name, _ in cell.named_parameters()] == [name for name, _ in reference.named_parameters()]
    assert all(torch.equal(*pair) for pair in zip(cell.parameters(), reference.parameters(), strict=True))


def test_rnn_cell_with_relu_equals_the_cell_of_torch():
    cell, reference = RNNCell(3, 6, nonlinearity="relu"), nn.RNNCell(3, 6, nonlinearity="relu")
    reference.load_state_dict(cell.state_dict())
    x_t = torch.randn(BATCH, 3)
    torch.testing.assert_close(cell(x_t)[0], reference(x_t))


# Hooks, parametrizations and replaced cells in a stack


@fused_kinds
def test_forward_hook_on_a_cell_runs_at_every_step(fused):
    """It gets x_t and the state before, the output and the state after, as in a handwritten loop."""
    model, x, state = small_model(fused), small_input(), None
    seen = []
    handle = model.backbone.cells[0].register_forward_hook(lambda _cell, given, result: seen.append((given, result)))
    model(x)
    assert len(seen) == TIME
    handle.remove()
    model(x)
    assert len(seen) == TIME

    for x_t, (given, result) in zip(x.unbind(1), seen, strict=True):
        before = model.initial_state(BATCH) if state is None else state
        _, state = model.step(x_t, state)
        assert_same((given, result), ((x_t, before[0]), (state[0].h, state[0])))


@fused_kinds
def test_hook_on_the_last_cell_gets_the_input_of_the_readout(fused):
    model, seen = small_model(fused), []
    model.backbone.cells[1].register_forward_hook(lambda _cell, _given, result: seen.append(result[0]))
    y = model(small_input(), lengths=torch.full((BATCH,), TIME))
    assert_same(model.readout.linear(seen[-1]), y)


@stacks
@pytest.mark.parametrize(
    "register",
    [
        lambda cell, hook: cell.register_forward_hook(hook),
        lambda cell, hook: cell.register_forward_pre_hook(hook),
        lambda cell, hook: cell.register_full_backward_hook(hook),
        lambda cell, hook: cell.register_full_backward_pre_hook(hook),
        lambda _cell, hook: torch_module.register_module_forward_hook(hook),
        lambda _cell, hook: torch_module.register_module_forward_pre_hook(hook),
        lambda _cell, hook: torch_module.register_module_full_backward_hook(hook),
        lambda _cell, hook: torch_module.register_module_full_backward_pre_hook(hook),
    ],
    ids=[
        f"{where}{hook}" for where in ("", "global_") for hook in ("forward", "forward_pre", "backward", "backward_pre")
    ],
)
@pytest.mark.parametrize("index", [0, 3])
def test_all_types_of_hooks_run_at_every_step(stack, register, index):
    """Even if only the state of a step is used later, and not its output."""
    model, called = small_model(stack, bidirectional=True), []
    handle = register(model.backbone.cells[index], lambda module, *_: called.append(module))
    try:
        model(small_input().requires_grad_()).sum().backward()
    finally:
        handle.remove()
    assert called.count(model.backbone.cells[index]) == TIME


@fused_kinds
def test_backward_hook_gets_the_whole_gradient_of_an_output(fused):
    """Including the gradient from later steps, as `retain_grad` shows it in a handwritten loop."""
    model, x = small_model(fused, output_size=None, num_layers=1), small_input()
    (cell,), seen, state, hidden = model.backbone.cells, [], None, []
    for x_t in x.unbind(1):
        h, state = cell(x_t, state)
        h.retain_grad()
        hidden.append(h)
    hidden[-1].square().sum().backward()
    cell.register_full_backward_hook(lambda _cell, _grad_input, grad_output: seen.append(grad_output[0]))
    model(x.requires_grad_()).square().sum().backward()
    assert_same(tuple(reversed(seen)), tuple(h.grad for h in hidden))


@fused_kinds
@directions
def test_result_of_a_hook_is_used(fused, bidirectional):
    """The hook doubles the output of a single layer and keeps the state."""
    fields = {"bidirectional": bidirectional, "num_layers": 1, "readout": "all", "output_size": None}
    model, x = small_model(fused, **fields), small_input()
    y, state = model(x, return_state=True)
    for cell in model.backbone.cells:
        cell.register_forward_hook(lambda _cell, _given, result: (2 * result[0], result[1]))
    assert_same(model(x, return_state=True), (2 * y, state))


class Echo(Cell):
    """h_t = h_{t-1} plus the sum of x_t."""

    def step(self, projected_t, state):
        h = state.h + projected_t.sum(-1, keepdim=True)
        return h, CellState(h)


@pytest.mark.parametrize("fused", ["rnn_cell", "gru_cell"])
def test_replaced_cell_is_used(fused):
    model, x = small_model(fused), small_input()
    model.backbone.cells[0] = Echo(3, 6)
    _, state = model(x, return_state=True)
    assert_same(state[0].h, x.sum((1, 2))[:, None].expand(-1, 6))


def counting(_given, state):
    """A step that adds one to every part of the state."""
    after = map_state(lambda part: part + 1, state)
    return after[0], after


@fused_kinds
@pytest.mark.parametrize("method", ["forward", "step"])
def test_patched_method_of_a_cell_is_used(fused, method):
    model = small_model(fused)
    setattr(model.backbone.cells[0], method, counting)
    _, state = model(small_input(), return_state=True)
    assert all(part.eq(TIME).all() for part in state[0])
    delattr(model.backbone.cells[0], method)
    _, state = model(small_input(), return_state=True)
    assert not any(part.eq(TIME).any() for part in state[0])


class Halved(nn.Module):
    def forward(self, weight):
        return weight / 2


def reference_of(model):
    """Return the equivalent model on torch's module, with the effective weights of the cells."""
    reference = small_model(model.spec.kind.removesuffix("_cell"))
    with torch.no_grad():
        for layer, cell in enumerate(model.backbone.cells):
            for name in PARAMETERS:
                getattr(reference.backbone.rnn, f"{name}_l{layer}").copy_(getattr(cell, name))
    reference.readout.load_state_dict(model.readout.state_dict())
    return reference


@fused_kinds
@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("layer", [0, 1])
def test_parametrized_weight_is_used(fused, name, layer):
    model, x = small_model(fused), small_input()
    before = getattr(model.backbone.cells[layer], name).clone()
    parametrize.register_parametrization(model.backbone.cells[layer], name, Halved())
    assert_same(getattr(model.backbone.cells[layer], name), before / 2)
    assert_same(model(x), reference_of(model)(x))
    model(x).sum().backward()
    assert model.backbone.cells[layer].parametrizations[name].original.grad.ne(0).any()


@fused_kinds
@pytest.mark.parametrize("name", ["weight_ih", "weight_hh"])
@pytest.mark.parametrize("layer", [0, 1])
def test_pruned_weight_is_used(fused, name, layer):
    model, x = small_model(fused), small_input()
    cell = model.backbone.cells[layer]
    prune.l1_unstructured(cell, name, amount=0.5)
    assert getattr(cell, name).eq(0).sum() == getattr(cell, name).numel() // 2
    assert_same(model(x), reference_of(model)(x))
    with torch.no_grad():
        getattr(cell, f"{name}_orig").mul_(2)  # as a step of an optimizer would
    y = model(x)
    assert_same(y, reference_of(model)(x))  # after the call, in which a hook recomputes the weight


@fused_kinds
def test_dropout_scales_the_remaining_features(fused):
    """The input of the second layer is the output of the first times a mask of 0 and 1 / (1 - dropout)."""
    model = small_model(fused, dropout=0.25, output_size=None, readout="all")
    below, above = (small_model(fused.removesuffix("_cell"), num_layers=1, input_size=size) for size in (3, 6))
    for part, cell in zip((below, above), model.backbone.cells, strict=True):
        part.backbone.rnn.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})
    x = small_input()

    torch.manual_seed(5)
    y = model(x)
    torch.manual_seed(5)
    mask = F.dropout(torch.ones(TIME, len(x), 6, dtype=x.dtype), 0.25).transpose(0, 1)
    middle, _ = below.backbone(x)
    assert_same(y, above.backbone(middle * mask)[0])


# The states at all steps


@stacks
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
def test_all_states_equal_the_states_of_step(stack, batch_first):
    model, x = small_model(stack, readout="all", batch_first=batch_first), small_input(batch_first=batch_first)
    time_axis = 1 if batch_first else 0
    state = random_state(model)
    output, states = model.backbone.all_states(x, state)
    assert_same(output, model.backbone(x, state)[0])
    expected = []
    for x_t in x.unbind(time_axis):
        _, state = model.step(x_t, state)
        expected.append(state)
    assert_same(states, map_state(lambda *parts: torch.stack(parts, time_axis), *expected))


@stacks
@directions
def test_all_states_are_zeros_past_the_length(stack, bidirectional):
    model, x = small_model(stack, bidirectional=bidirectional), small_input()
    state = random_state(model)
    output, states = model.backbone.all_states(x, state, lengths=LENGTHS)
    assert_same(output, model.backbone(x, state, lengths=LENGTHS)[0])
    for index, length in enumerate(LENGTHS.tolist()):
        assert all(part[index, length:].eq(0).all() for part in leaves(states))
        assert all(part[index, :length].ne(0).all() for part in leaves(states))


@stacks
@with_or_without_lengths
def test_all_states_of_each_direction(stack, lengths):
    """At step t the forward state has read the sequence up to t, the reverse state from its end down to t."""
    model, x = small_model(stack, num_layers=1, bidirectional=True), small_input()
    state = random_state(model)
    _, states = model.backbone.all_states(x, state, lengths=lengths)
    for index, length in enumerate([TIME] * BATCH if lengths is None else lengths.tolist()):
        start = map_state(lambda part, at=index: part[at : at + 1], state)
        for t in range(length):
            of_head, _ = model.backbone(x[index : index + 1, : t + 1], start)[1]
            _, of_tail = model.backbone(x[index : index + 1, t:length], start)[1]
            at_t = map_state(lambda part, at=index, t=t: part[at : at + 1, t], states)
            assert_same(at_t, (of_head, of_tail))


# Custom cells


class NoProjection(Cell):
    """h_t = tanh(h_{t-1} + W x_t)."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight = self.new_parameter(hidden_size, input_size)

    def step(self, projected_t, state):
        h = torch.tanh(state.h + F.linear(projected_t, self.weight))
        return h, CellState(h)


class TwoProjections(NoProjection):
    """h_t = tanh(W x_t + s_t h_{t-1}), where s_t is the mean of x_t."""

    def project(self, x):
        return F.linear(x, self.weight), x.mean(-1, keepdim=True)

    def step(self, projected_t, state):
        read, scale = projected_t
        h = torch.tanh(read + scale * state.h)
        return h, CellState(h)


class WideOutput(TwoProjections):
    """The output is h_t and its square."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.output_size = 2 * hidden_size

    def step(self, projected_t, state):
        h, after = super().step(projected_t, state)
        return torch.cat([h, h * h], dim=-1), after


class Memory(NamedTuple):
    h: torch.Tensor
    trace: torch.Tensor
    matrix: torch.Tensor


class UnequalParts(TwoProjections):
    """The parts of the state have other sizes than the hidden state, and one has an additional axis."""

    State = Memory

    def state_shapes(self, batch_size):
        shapes = [(batch_size, self.hidden_size), (batch_size, 2), (batch_size, 2, self.hidden_size)]
        return Memory(*map(torch.Size, shapes))

    def step(self, projected_t, state):
        h, _ = super().step(projected_t, state)
        trace = torch.cat([state.trace[:, 1:], h.sum(-1, keepdim=True)], dim=-1)
        matrix = state.matrix / 2 + trace[:, :, None] * h[:, None]
        return h + matrix.sum(1), Memory(h, trace, matrix)


class Counted(NamedTuple):
    h: torch.Tensor
    steps: torch.Tensor


class CountsSteps(TwoProjections):
    """One part of the state has no axis but the batch."""

    State = Counted

    def state_shapes(self, batch_size):
        return Counted(torch.Size((batch_size, self.hidden_size)), torch.Size((batch_size,)))

    def step(self, projected_t, state):
        h, _ = super().step(projected_t, state)
        return h / (1 + state.steps[:, None]), Counted(h, state.steps + 1)


class StartsAtOne(TwoProjections):
    def initial_state(self, batch_size, *, device=None, dtype=None):
        return CellState(torch.ones(batch_size, self.hidden_size, device=device, dtype=dtype))


OWN_CELLS = [NoProjection, TwoProjections, WideOutput, UnequalParts, CountsSteps, StartsAtOne]
own_cells = pytest.mark.parametrize("cell_class", OWN_CELLS)


def model_of(cell_class, **changes):
    with register_kind(cell_kind(cell_class, name="own", summary="Made for one test.")) as kind:
        return small_model(kind.name, output_size=None, readout="all", **changes)


@own_cells
def test_all_states_of_own_cells_are_zeros_past_the_length(cell_class):
    model, x = model_of(cell_class), small_input()
    _, states = model.backbone.all_states(x, lengths=LENGTHS)
    _, final = model.backbone(x, lengths=LENGTHS)
    for index, length in enumerate(LENGTHS.tolist()):
        assert all(part[index, length:].eq(0).all() for part in leaves(states))
        if length:
            at_end = map_state(lambda part, at=(index, length - 1): part[at], states)
            assert_same(at_end, map_state(lambda part, at=index: part[at], final))


def run_separately(model, x, lengths):
    """Run each sequence, layer and direction separately; return outputs, zero past the length, and final states."""
    results = [run_sequence(model, sequence[:length]) for sequence, length in zip(x, lengths, strict=True)]
    outputs = [F.pad(output, (0, 0, 0, x.shape[1] - len(output))) for output, _ in results]
    return torch.stack(outputs), map_state(lambda *parts: torch.cat(parts), *(final for _, final in results))


def run_sequence(model, sequence):
    """Run one sequence, `(time, features)`."""
    cells, count, final = model.backbone.cells, model.spec.directions, []
    for first in range(0, len(cells), count):
        outputs = []
        for cell in cells[first : first + count]:
            backwards = len(outputs) == 1
            output, state = run_cell(cell, sequence.flip(0) if backwards else sequence)
            outputs.append(output.flip(0) if backwards else output)
            final.append(state)
        sequence = torch.cat(outputs, dim=-1)
    return sequence, tuple(final)


def run_cell(cell, sequence):
    state = cell.initial_state(1, dtype=sequence.dtype)
    outputs = [sequence.new_zeros(0, cell.output_size)]
    for x_t in sequence:
        output, state = cell(x_t[None], state)
        outputs.append(output)
    return torch.cat(outputs), state


@own_cells
@directions
@with_or_without_lengths
def test_custom_cell_is_a_kind(cell_class, bidirectional, lengths):
    """Three layers of different sizes, from cells with a `step` and perhaps a `project`."""
    model, x = model_of(cell_class, hidden_size=(3, 4, 2), num_layers=3, bidirectional=bidirectional), small_input()
    actual = model(x, lengths=lengths, return_state=True)
    assert_same(actual, run_separately(model, x, [TIME] * BATCH if lengths is None else lengths.tolist()))


@own_cells
def test_custom_cell_can_be_streamed(cell_class):
    model, x, state = model_of(cell_class), small_input(), None
    outputs = []
    for x_t in x.unbind(1):
        y_t, state = model.step(x_t, state)
        outputs.append(y_t)
    assert_same((torch.stack(outputs, 1), state), model(x, return_state=True))


@own_cells
def test_state_of_a_custom_cell_can_be_reset(cell_class):
    model = model_of(cell_class)
    state, mask = random_state(model), torch.tensor([True, False, False, True])
    reset = model.reset_state(state, mask)
    assert_same(
        map_state(lambda part: part[mask], reset), map_state(lambda part: part[mask], model.initial_state(BATCH))
    )
    assert_same(map_state(lambda part: part[~mask], reset), map_state(lambda part: part[~mask], state))


def test_initial_state_is_that_of_the_cell():
    for options in ({}, {"learn_initial_state": True}):
        model = model_of(StartsAtOne, options=options)
        assert all(part.eq(1).all() for part in leaves(model.initial_state(BATCH)))
        _, final = model(small_input(), lengths=torch.tensor([5, 0, 0, 3]), return_state=True)
        assert all(part[1:3].eq(1).all() for part in leaves(final))


@directions
def test_features_follow_output_size(bidirectional):
    model = model_of(WideOutput, hidden_size=(3, 4), bidirectional=bidirectional)
    count = model.spec.directions
    assert model.backbone.features == count * 8
    assert [cell.input_size for cell in model.backbone.cells] == [INPUT_SIZE] * count + [count * 6] * count


@pytest.fixture
def simple_cell():
    """Return the class in the docstring of `Cell`."""
    (source,) = re.findall(r"```python\n(.*?)```", inspect.getdoc(Cell), flags=re.DOTALL)
    names = {"__name__": __name__, "Cell": Cell, "CellState": CellState, "F": F, "torch": torch}
    exec(source, names)  # noqa: S102  # our own documentation
    return names["SimpleCell"]


def layer_by_formula(cell, x):
    """h_t = tanh(W_ih x_t + W_hh h_{t-1}) from zeros."""
    h, every = x.new_zeros(len(x), cell.hidden_size), []
    for x_t in x.unbind(1):
        h = (x_t @ cell.weight_ih.T + h @ cell.weight_hh.T).tanh()
        every.append(h)
    return torch.stack(every, dim=1)


def test_docstring_example_is_a_kind(simple_cell):
    x = small_input()
    with register_kind(cell_kind(simple_cell, name="simple", summary="Elman's network without biases.")) as kind:
        model = small_model(kind.name, output_size=None, readout="all")
    lower, upper = model.backbone.cells
    assert_same(model(x), layer_by_formula(upper, layer_by_formula(lower, x)))


def test_docstring_example_works_without_a_stack(simple_cell):
    cell, x = simple_cell(INPUT_SIZE, 6, dtype=torch.float64), small_input()
    first, state = cell(x[:, 0])
    second, _ = cell(x[:, 1], state)
    assert_same(torch.stack([first, second], dim=1), layer_by_formula(cell, x[:, :2]))


def test_docstring_example_in_a_handwritten_builder(simple_cell):
    """Without `cell_kind` and `StackOptions`."""

    def build(spec, *, device, dtype):
        return CellStack(spec, [simple_cell] * spec.num_layers, device=device, dtype=dtype)

    x = small_input()
    with register_kind(Kind(name="simple", builder=build, summary="Made for one test.")) as kind:
        model = small_model(kind.name, output_size=None, readout="all")
    lower, upper = model.backbone.cells
    assert_same(model(x), layer_by_formula(upper, layer_by_formula(lower, x)))


# A cell's own options


class Slope(StackOptions):
    slope: float = 1.0


class Sloped(NoProjection):
    """The output is the state times `slope`."""

    def __init__(self, input_size, hidden_size, *, slope=1.0, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.slope = slope

    def step(self, projected_t, state):
        h, after = super().step(projected_t, state)
        return self.slope * h, after


def test_own_option_is_passed_to_the_constructor():
    with register_kind(cell_kind(Sloped, name="sloped", summary="Made for one test.", options=Slope)) as kind:
        model = small_model(kind.name, output_size=None, options={"slope": 3.0})
    y, state = model(small_input(), return_state=True)
    assert_same(y, 3 * state[-1].h)


def test_option_that_the_constructor_does_not_take_is_refused():
    with pytest.raises(TypeError, match="NoProjection must take slope, which Slope defines"):
        cell_kind(NoProjection, name="own", summary="Made for one test.", options=Slope)


class ComplexState(NoProjection):
    """A cell with a complex state."""

    def initial_state(self, batch_size, *, device=None, dtype=None):
        dtype = torch.complex128 if dtype == torch.float64 else torch.complex64
        return CellState(torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype))


@pytest.mark.parametrize("options", [{}, {"learn_initial_state": True}], ids=str)
def test_a_complex_state_is_refused_when_the_model_is_built(options):
    with register_kind(cell_kind(ComplexState, name="complex", summary="A test.")) as kind:
        spec = RecurrentSpec(kind=kind.name, input_size=2, hidden_size=3, options=options)
        for dtype, name in [(None, "complex64"), (torch.float64, "complex128")]:
            words = rf"state '0\.h' .* torch\.{name} tensor.*its real and its imaginary part as two parts of the state"
            with pytest.raises(BuildError, match=words):
                build_model(spec, dtype=dtype)


class RotationState(NamedTuple):
    real: torch.Tensor
    imaginary: torch.Tensor


class RotatingCell(Cell):
    """A cell whose parameters are mostly complex, with a real state."""

    State = RotationState

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        for name in ("rotation", "gain", "shift"):
            part = torch.view_as_complex(self.new_parameter(hidden_size, 2).detach().clone())
            self.register_parameter(name, nn.Parameter(part))
        self.weight_ih = self.new_parameter(hidden_size, input_size)

    def step(self, x_t, state):
        z = self.rotation * torch.complex(*state) + self.gain * (x_t @ self.weight_ih.t()) + self.shift
        return z.real, RotationState(z.real, z.imag)


def test_cells_with_complex_parameters_are_built_run_and_saved(tmp_path):
    path, x = tmp_path / "model.safetensors", torch.randn(2, 5, 2)
    with register_kind(cell_kind(RotatingCell, name="rotating", summary="A test.")) as kind:
        model = build_model(RecurrentSpec(kind=kind.name, input_size=2, hidden_size=3))
        save_model(model, path)
        assert verify_model(path).ok
        assert_same(load_model(path)(x), model(x))
    assert (model.dtype, model.initial_state(2)[0].real.dtype) == (torch.float32, torch.float32)
