"""The executor of rnnkit-kernels equals the steps of cells: outputs, final states and all gradients, in float64."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from rnnkit import Cell, CellState
from rnnkit.plan import flatten, unroll
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_builtin.lstm_cell import LSTMCell
from rnnkit_builtin.rnn_cell import RNNCell
from rnnkit_kernels import MachineExecutor
from tests.helpers.kernels import INSTRUCTION_SETS, run_on
from tests.helpers.models import small_input, small_model
from tests.helpers.plans import (
    LENGTHS,
    StepCell,
    assert_close,
    assert_plan_equals_steps,
    each_sequence_alone,
    randomize,
    unverified_plan,
)
from tests.helpers.torchrecurrent_cells import NAMES, CellOfTorchrecurrent, TwoPartState

EXECUTOR = MachineExecutor()


class TwoProductsCell(Cell):
    """A cell with a product of a computed value, as an MGU has."""

    def __init__(self, input_size, hidden_size, *, dtype=torch.float64):
        super().__init__(input_size, hidden_size, dtype=dtype)
        self.weight_ih = self.new_parameter(2 * hidden_size, input_size)
        self.weight_f = self.new_parameter(hidden_size, hidden_size)
        self.weight_n = self.new_parameter(hidden_size, hidden_size)
        self.bias = self.new_parameter(hidden_size)

    def project(self, x):
        return F.linear(x, self.weight_ih)

    def step(self, projected_t, state):
        input_f, input_n = projected_t.chunk(2, -1)
        f = torch.sigmoid(input_f + F.linear(state.h, self.weight_f, self.bias))
        n = torch.tanh(input_n + F.linear(f * state.h, self.weight_n))
        h = torch.lerp(state.h, n, f)
        return h, CellState(h)


CELLS = {
    "rnn": RNNCell,
    "gru": GRUCell,
    "lstm": LSTMCell,
    "two_products": TwoProductsCell,
    "normalized_gru": partial(GRUCell, layer_norm=True),
}


def some_inputs(cell, time, batch, *, dtype=torch.float64, requires_grad=True):
    x = torch.randn(time, batch, cell.input_size, dtype=dtype, requires_grad=requires_grad)
    shapes = cell.state_shapes(batch)
    return x, type(shapes)(*[torch.randn(shape, dtype=dtype, requires_grad=requires_grad) for shape in shapes])


def assert_equals_steps(cell, instruction_set=None, **options):
    assert_plan_equals_steps(cell, plan=unverified_plan(cell), run=run_on(instruction_set), **options)


@pytest.mark.parametrize("name", NAMES)
def test_cells_of_torchrecurrent(name):
    assert_equals_steps(randomize(CellOfTorchrecurrent(name)))


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("hidden_size", [1, 7, 33, 64])
@pytest.mark.parametrize("name", CELLS)
def test_sizes(name, hidden_size, instruction_set):
    cell = randomize(CELLS[name](3, hidden_size, dtype=torch.float64))
    assert_equals_steps(cell, instruction_set, lengths=None, batch=3)
    assert_equals_steps(cell, instruction_set)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{"zoneout": (0.3, 0.6)}, {"recurrent_dropout": 0.4, "zoneout": 0.5}], ids=str)
def test_regularized_steps_equal_the_step_loop(options, training):
    model = small_model("lstm_cell", bidirectional=True, options=options).train(training).backbone
    x = small_input()
    found, expected = [], []
    for force_step_loop, results in ((False, found), (True, expected)):
        model.force_step_loop = force_step_loop
        torch.manual_seed(0)
        output, final = model(x, lengths=torch.tensor([5, 0, 2, 5]))
        assert ("kernels" in model.executor) != force_step_loop
        total = sum((part * part).sum() for part in (output, *flatten(final)))
        results += [output, *flatten(final), *torch.autograd.grad(total, list(model.parameters()))]
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


def test_batch_sizes():
    cell = randomize(GRUCell(3, 20, dtype=torch.float64))
    for batch in (*range(1, 10), 16, 17):
        assert_equals_steps(cell, lengths=None, batch=batch)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_inference_equals_training(name, lengths):
    cell = randomize(CELLS[name](3, 20, dtype=torch.float64))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 4, len(LENGTHS))
    expected, final = EXECUTOR.unroll(plan, cell, cell.project(x), state, lengths)
    with torch.no_grad():
        found, found_final = EXECUTOR.unroll(plan, cell, cell.project(x), state, lengths)
    assert not found.requires_grad
    torch.testing.assert_close((found, *found_final), (expected, *final), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_single_precision(name):
    cell = randomize(CELLS[name](3, 40, dtype=torch.float64))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 20, 6)
    weights = torch.randn(20, 6, 40, dtype=torch.float64)

    def results(run, dtype):
        cell.to(dtype)
        one_x = x.detach().to(dtype).requires_grad_()
        output, final = run(plan, cell, cell.project(one_x), type(state)(*[part.to(dtype) for part in state]))
        assert output.dtype == dtype
        inputs = [one_x, *cell.parameters()]
        found = torch.autograd.grad((output * weights.to(dtype)).sum() + final[0].sum(), inputs)
        return [each.double() for each in (output, *final, *found)]

    expected = results(unroll, torch.float64)
    for found, value in zip(results(EXECUTOR.unroll, torch.float32), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-5, atol=2e-6 * value.abs().max().item())


def test_inputs_that_are_not_contiguous():
    cell = randomize(GRUCell(3, 9, dtype=torch.float64))
    plan = unverified_plan(cell)
    x = torch.randn(5, 4, 3, dtype=torch.float64).transpose(0, 1)  # batch first
    state = CellState(torch.randn(9, 5, dtype=torch.float64).t())
    projected = tuple(each.detach().transpose(0, 2).contiguous().transpose(0, 2) for each in cell.project(x))
    found = EXECUTOR.unroll(plan, cell, projected, state)
    expected = unroll(plan, cell, projected, state)
    torch.testing.assert_close(found[0], expected[0])
    weights = torch.randn(9, 5, 4, dtype=torch.float64).transpose(0, 2)  # a gradient whose features are far apart
    found, expected = (torch.autograd.grad((y * weights).sum(), cell.weight_hh) for y in (found[0], expected[0]))
    torch.testing.assert_close(found, expected)


def test_frozen_parameters():
    cell = randomize(GRUCell(3, 6, dtype=torch.float64))
    cell.weight_hh.requires_grad_(False)
    assert_plan_equals_steps(cell, plan=unverified_plan(cell), run=EXECUTOR.unroll)
    output, _ = EXECUTOR.unroll(
        unverified_plan(cell), cell, cell.project(torch.randn(4, 2, 3).double()), CellState(torch.zeros(2, 6).double())
    )
    output.sum().backward()
    assert cell.weight_hh.grad is None
    assert cell.weight_ih.grad is not None


@pytest.mark.parametrize("wanted", ["output", "state"])
def test_only_the_state_requires_gradients(wanted):
    cell = randomize(LSTMCell(3, 6, dtype=torch.float64)).requires_grad_(False)
    x, state = some_inputs(cell, 4, 2)
    x = x.detach()
    plan = unverified_plan(cell)

    def gradient(run):
        output, final = run(plan, cell, cell.project(x), state, None)
        result = output if wanted == "output" else final[1]
        return torch.autograd.grad(result.square().sum(), list(state), allow_unused=True)

    torch.testing.assert_close(gradient(EXECUTOR.unroll), gradient(unroll))


@pytest.mark.parametrize("lengths", [None, torch.zeros(0, dtype=torch.int64)])
def test_an_empty_batch(lengths):
    cell = GRUCell(3, 6, dtype=torch.float64)
    x, state = some_inputs(cell, 4, 0)
    output, final = EXECUTOR.unroll(unverified_plan(cell), cell, cell.project(x), state, lengths)
    assert output.shape == (4, 0, 6)
    (output.sum() + final.h.sum()).backward()
    assert cell.weight_hh.grad.abs().sum() == 0


def test_sequences_without_steps():
    cell = randomize(GRUCell(3, 6, dtype=torch.float64))
    assert_equals_steps(cell, lengths=torch.zeros(5, dtype=torch.int64))


def test_padding_is_not_read():
    cell = randomize(GRUCell(3, 6, dtype=torch.float64))
    plan, lengths = unverified_plan(cell), LENGTHS
    x, state = some_inputs(cell, 4, len(lengths), requires_grad=False)
    padded = x.clone()
    padded[torch.arange(4)[:, None] >= lengths] = float("nan")
    results = []
    for each in (x, padded):
        projected = [part.detach().requires_grad_() for part in cell.project(each)]
        output, final = EXECUTOR.unroll(plan, cell, tuple(projected), state, lengths)
        results.append(
            (output, final.h, *torch.autograd.grad(output.sum() + final.h.sum(), [cell.weight_hh, *projected]))
        )
    torch.testing.assert_close(*results)


def test_gradients_of_gradients():
    cell = randomize(TwoProductsCell(3, 4))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 3, 2)

    def second(run):
        output, final = run(plan, cell, cell.project(x), state, torch.tensor([3, 1]))
        first = torch.autograd.grad(output.square().sum() + final.h.sum(), [x, cell.weight_f], create_graph=True)
        return torch.autograd.grad(sum(each.square().sum() for each in first), [x, state.h, *cell.parameters()])

    torch.testing.assert_close(second(EXECUTOR.unroll), second(unroll))


def test_gradients_are_computed_twice_from_a_retained_graph():
    cell = randomize(LSTMCell(3, 6, dtype=torch.float64))
    x, state = some_inputs(cell, 4, 2)
    output, _ = EXECUTOR.unroll(unverified_plan(cell), cell, cell.project(x), state)
    first, second = (torch.autograd.grad(output.sum(), x, retain_graph=True) for _ in range(2))
    torch.testing.assert_close(first, second)


def test_inputs_that_are_changed_before_the_backward_pass_are_an_error():
    cell = randomize(GRUCell(3, 6, dtype=torch.float64))
    x, state = some_inputs(cell, 4, 2)
    output, _ = EXECUTOR.unroll(unverified_plan(cell), cell, cell.project(x), state)
    with torch.no_grad():
        cell.weight_hh.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_the_output_may_be_changed():
    """As that of the step loop, and unlike that of torch's LSTM."""
    cell = randomize(LSTMCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 4, 2)
    results = []
    for run in (EXECUTOR.unroll, unroll):
        output, final = run(plan, cell, cell.project(x), state)
        output.mul_(2)
        results.append(torch.autograd.grad(output.square().sum() + final[1].sum(), [x, *cell.parameters()]))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("change", ["in place", "by data", "replaced"])
def test_changed_weights_are_noticed(change):
    cell = randomize(GRUCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 4, 2, requires_grad=False)
    with torch.no_grad():
        EXECUTOR.unroll(plan, cell, cell.project(x), state)
        if change == "in place":
            cell.weight_hh.mul_(2)
        elif change == "by data":
            cell.weight_hh.data.mul_(2)
        else:
            cell.weight_hh = torch.nn.Parameter(cell.weight_hh * 2)
        found, _ = EXECUTOR.unroll(plan, cell, cell.project(x), state)
        expected, _ = unroll(plan, cell, cell.project(x), state)
    torch.testing.assert_close(found, expected)


def test_a_step_that_ignores_its_input():
    cell = randomize(StepCell(lambda projected_t, h, weight, vector: torch.tanh(h @ weight) * 0.5 - vector))
    assert_equals_steps(cell)


class TwoInputsCell(Cell):
    """A cell with two projected inputs of equal gradients, which are also those of its product."""

    def __init__(self):
        super().__init__(3, 6, dtype=torch.float64)
        self.weight_ih = self.new_parameter(6, 3)
        self.weight_hh = self.new_parameter(6, 6)

    def project(self, x):
        return F.linear(x, self.weight_ih), F.linear(x, self.weight_ih.flip(0))

    def step(self, projected_t, state):
        first, second = projected_t
        h = torch.tanh(first + (second + F.linear(state.h, self.weight_hh)))
        return h, CellState(h)


def test_gradients_do_not_share_memory():
    cell = randomize(TwoInputsCell())
    assert_equals_steps(cell)
    x, state = some_inputs(cell, 4, 2)
    projected = [each.detach().requires_grad_() for each in cell.project(x)]
    EXECUTOR.unroll(unverified_plan(cell), cell, tuple(projected), state)[0].sum().backward()
    first, second = (each.grad for each in projected)
    torch.testing.assert_close(first, second)
    assert first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr()


def test_inputs_of_another_shape_are_an_error():
    cell = GRUCell(3, 6, dtype=torch.float64)
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 4, 2)
    with pytest.raises(ValueError, match=r"part 0 of the state must be .* of shape \(2, 6\) on cpu, but .* \(1, 6\)"):
        EXECUTOR.unroll(plan, cell, cell.project(x), CellState(state.h[:1]))
    with pytest.raises(ValueError, match=r"part 0 of the state must be a torch\.float64 tensor"):
        EXECUTOR.unroll(plan, cell, cell.project(x), CellState(state.h.float()))
    with pytest.raises(ValueError, match=r"lengths must have the shape \(batch,\) = \(2,\), but has \(3,\)"):
        EXECUTOR.unroll(plan, cell, cell.project(x), state, torch.tensor([1, 2, 3]))
    cell.weight_hh = torch.nn.Parameter(cell.weight_hh[:, :3])
    with pytest.raises(ValueError, match="weight 0"):
        EXECUTOR.unroll(plan, cell, cell.project(x), state)


def test_states_of_two_parts_keep_their_type():
    cell = randomize(CellOfTorchrecurrent("PeepholeLSTMCell"))
    x, state = some_inputs(cell, 4, 2)
    _, final = EXECUTOR.unroll(unverified_plan(cell), cell, cell.project(x), state)
    assert isinstance(final, TwoPartState)
    assert_close(final._asdict(), each_sequence_alone(cell, x, state, None)[1]._asdict(), 1e-11)


def test_gradient_checkpointing_gives_the_same_gradients():
    cell = randomize(GRUCell(3, 6, dtype=torch.float64))
    plan, (x, state) = unverified_plan(cell), some_inputs(cell, 4, 2)

    def run(x):
        return EXECUTOR.unroll(plan, cell, cell.project(x), state)[0]

    expected = torch.autograd.grad(run(x).sum(), [x, *cell.parameters()])
    found = torch.autograd.grad(checkpoint(run, x, use_reentrant=False).sum(), [x, *cell.parameters()])
    torch.testing.assert_close(found, expected)
