"""Layouts are kept between calls, bounded, and made again for other sizes, strides and dtypes; and bfloat16."""

import copy
import gc
import weakref

import pytest
import torch

from rnnkit import CellState, RecurrentSpec, build_model
from rnnkit.plan import Plan, plan_for, unroll
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_builtin.lstm_cell import LSTMCell
from rnnkit_builtin.rnn_cell import RNNCell
from rnnkit_kernels import MachineExecutor
from rnnkit_kernels import _layout as layout_module
from rnnkit_kernels import _tables as tables_module
from rnnkit_kernels._tables import tables_for
from tests.helpers.kernels import INSTRUCTION_SETS, library, run_on
from tests.helpers.plans import StepCell, assert_plan_equals_steps, randomize, unverified_plan

EXECUTOR = MachineExecutor()


def some_inputs(cell, time, batch, dtype=torch.float64):
    shapes = cell.state_shapes(batch)
    state = type(shapes)(*[torch.randn(shape, dtype=dtype) for shape in shapes])
    return torch.randn(time, batch, cell.input_size, dtype=dtype), state


def results(run, plan, cell, x, state, lengths=None):
    """Return output, final state and the gradients of all parameters and of the input."""
    x = x.clone().requires_grad_()
    output, final = run(plan, cell, cell.project(x), state, lengths)
    loss = (output * torch.linspace(-1, 1, output.shape[-1], dtype=output.dtype)).sum() + final[0].sum()
    return [output.detach(), *final, *torch.autograd.grad(loss, [x, *cell.parameters()], materialize_grads=True)]


def test_other_sizes_and_strides_are_laid_out_again():
    cell = randomize(LSTMCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    for time, batch in [(4, 2), (3, 2), (4, 3), (1, 1), (4, 2)]:
        x, state = some_inputs(cell, time, batch)
        for each in (x, x.transpose(0, 1).contiguous().transpose(0, 1)):
            for lengths in (None, torch.arange(batch) + 1):
                expected = results(unroll, plan, cell, each, state, lengths)
                torch.testing.assert_close(results(EXECUTOR.unroll, plan, cell, each, state, lengths), expected)


def test_another_dtype_is_laid_out_again():
    cell = randomize(GRUCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 4, 2)
    expected = results(unroll, plan, cell, x, state)
    for dtype in (torch.float64, torch.float32, torch.float64):
        cell.to(dtype)
        found = results(EXECUTOR.unroll, plan, cell, x.to(dtype), CellState(state.h.to(dtype)))
        assert {each.dtype for each in found} == {dtype}
        torch.testing.assert_close([each.double() for each in found], expected, rtol=1e-4, atol=1e-5)


def test_weights_with_other_strides_are_laid_out_again():
    cell = randomize(GRUCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 4, 2)
    expected = results(EXECUTOR.unroll, plan, cell, x, state)
    cell.weight_hh = torch.nn.Parameter(cell.weight_hh.detach().t().contiguous().t())
    torch.testing.assert_close(results(EXECUTOR.unroll, plan, cell, x, state), expected)


def negative_view(tensor):
    """Return a tensor of the same values and strides, whose memory has the opposite ones."""
    view = torch.complex(torch.zeros_like(tensor), -tensor).conj().imag
    assert view.is_neg()
    return view


@pytest.mark.parametrize("lengths", [None, torch.tensor([4, 2])], ids=["whole", "lengths"])
@pytest.mark.parametrize("grad", [True, False])
def test_negative_views_have_their_sign(grad, lengths):
    """`data_ptr` of a view with the negative bit points to the opposite values."""
    cell = randomize(LSTMCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 4, 2)
    expected = results(unroll, plan, cell, x, state, lengths)
    for parameter in cell.parameters():
        parameter.data = negative_view(parameter.data)
    state = type(state)(*map(negative_view, state))
    projected = negative_view(cell.project(x).detach())
    with torch.set_grad_enabled(grad):
        output, final = EXECUTOR.unroll(plan, cell, projected, state, lengths)
    torch.testing.assert_close([output.detach(), *final], expected[: 1 + len(final)])
    if grad:
        torch.testing.assert_close(results(EXECUTOR.unroll, plan, cell, x, state, lengths), expected)


def test_hoisted_negative_views_have_their_sign():
    """A step may compute one from its parameters."""
    cell = randomize(StepCell(lambda p, h, weight, vector: torch.tanh(p + h @ weight) * negative_view(vector)))
    assert_plan_equals_steps(cell, plan=unverified_plan(cell), run=EXECUTOR.unroll)


UNUSUAL_GRADIENTS = {
    "negative": negative_view,
    "expanded": lambda gradient: gradient[:1, :1, :1].expand(gradient.shape),
    "transposed": lambda gradient: gradient.transpose(0, 2).contiguous().transpose(0, 2),
    "with an offset": lambda gradient: torch.cat([gradient, gradient])[len(gradient) :],
    "zeros without memory": lambda gradient: torch._efficientzerotensor(gradient.shape, dtype=gradient.dtype),
}


@pytest.mark.parametrize("name", UNUSUAL_GRADIENTS)
def test_unusual_gradients(name):
    cell = randomize(LSTMCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 4, 2)
    gradient = UNUSUAL_GRADIENTS[name](torch.randn(4, 2, 6, dtype=torch.float64))
    of_state = UNUSUAL_GRADIENTS[name](torch.randn(4, 2, 6, dtype=torch.float64))[0]
    found = []
    for run, given in [(EXECUTOR.unroll, (gradient, of_state)), (unroll, (dense(gradient), dense(of_state)))]:
        output, final = run(plan, cell, cell.project(x), state)
        found.append(torch.autograd.grad([output, final[1]], list(cell.parameters()), given))
    torch.testing.assert_close(*found)


def test_batched_and_sparse_gradients_are_an_error_that_names_the_fix():
    cell = randomize(LSTMCell(3, 6, dtype=torch.float64))
    x, state = some_inputs(cell, 4, 2)
    output, _ = EXECUTOR.unroll(unverified_plan(cell), cell, cell.project(x), state)
    gradient = torch.randn(4, 2, 6, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"batched gradients .*: set model\.backbone\.force_step_loop = True"):
        torch.autograd.grad(output, [cell.weight_hh], gradient[None], is_grads_batched=True, retain_graph=True)
    with pytest.raises(RuntimeError, match=r"sparse ones: set model\.backbone\.force_step_loop = True"):
        torch.autograd.grad(output, [cell.weight_hh], gradient.to_sparse())


def test_batched_gradients_of_a_torch_kind_without_executors(monkeypatch):
    model = build_model(RecurrentSpec(kind="gru", input_size=3, hidden_size=6))
    x = torch.randn(2, 500, 3, requires_grad=True)
    output = model(x)
    assert "kernels" in str(model.backbone.executor)
    with pytest.raises(RuntimeError, match=r"or RNNKIT_EXECUTORS= in the environment for 'rnn', 'gru' and 'lstm'$"):
        torch.autograd.grad(output, x, torch.ones(1, 2, 6), is_grads_batched=True)
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
    torch.autograd.grad(model(x), x, torch.ones(1, 2, 6), is_grads_batched=True)


def dense(gradient):
    return torch.zeros(gradient.shape, dtype=gradient.dtype) + gradient


def test_layouts_are_bounded(monkeypatch):
    monkeypatch.setattr(tables_module, "_MOST_LAYOUTS", 3)
    monkeypatch.setattr(layout_module, "_MOST_STRIDES", 2)
    cell = randomize(RNNCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    tables = tables_for(plan, library().opcodes)
    for batch in range(1, 9):
        x, state = some_inputs(cell, 4, batch)
        output, _ = EXECUTOR.unroll(plan, cell, cell.project(x), state)
        assert 1 <= len(tables._layouts) <= 3
    layout = list(tables._layouts.values())[-1]
    expected = torch.autograd.grad(output, cell.weight_hh, torch.ones_like(output), retain_graph=True)
    for width in range(6, 12):
        gradient = torch.ones(4, 8, width, dtype=torch.float64)[..., :6]
        found = torch.autograd.grad(output, cell.weight_hh, gradient, retain_graph=True)
        torch.testing.assert_close(found, expected)
        assert 1 <= len(layout._backward) <= 2


def test_layouts_are_freed_with_the_plan():
    cell = randomize(GRUCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    results(EXECUTOR.unroll, plan, cell, *some_inputs(cell, 4, 2))
    tables = tables_for(plan, library().opcodes)
    references = [weakref.ref(each) for each in (plan, tables, *tables._layouts.values())]
    del plan, tables
    gc.collect()
    assert [each() for each in references] == [None] * len(references)


def test_results_of_calls_do_not_share_memory():
    cell = randomize(LSTMCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 4, 2)
    first = results(EXECUTOR.unroll, plan, cell, x, state)
    kept = [each.clone() for each in first]
    second = results(EXECUTOR.unroll, plan, cell, x * 2, state)
    torch.testing.assert_close(first, kept)
    assert not {each.untyped_storage().data_ptr() for each in first} & {
        each.untyped_storage().data_ptr() for each in second
    }


@pytest.mark.parametrize("hidden_size", [6, 200])  # the library or torch sums the gradients of parameters
@pytest.mark.parametrize("frozen", ["weight_hh", "bias_hh", "weight_ih"])
def test_gradients_that_are_not_needed(frozen, hidden_size):
    cell = randomize(LSTMCell(3, hidden_size, dtype=torch.float64))
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, 4, 2)
    found = {}
    for run in (unroll, EXECUTOR.unroll):
        cell.requires_grad_(True).zero_grad()
        getattr(cell, frozen).requires_grad_(False)
        run(plan, cell, cell.project(x), state, None)[0].square().sum().backward()
        found[run] = [each.grad for name, each in cell.named_parameters() if name != frozen]
        assert getattr(cell, frozen).grad is None
    torch.testing.assert_close(*found.values())


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("is_transposed", [True, False])
@pytest.mark.parametrize(("time", "batch"), [(2, 1), (16, 1), (2, 5), (2, 6)])
def test_large_weights_and_few_rows(time, batch, is_transposed, instruction_set):
    """Such weights are not packed, except for the last of these sizes."""
    step = StepCell(lambda projected_t, h, weight, vector: torch.tanh(projected_t + h @ weight), 131, 131)
    cell = randomize(GRUCell(3, 97, dtype=torch.float64) if is_transposed else step)
    plan = unverified_plan(cell)
    x, state = some_inputs(cell, time, batch)
    lengths = torch.tensor([time] * (batch - 1) + [1])
    for each in (None, lengths):
        expected = results(unroll, plan, cell, x, state, each)
        torch.testing.assert_close(results(run_on(instruction_set), plan, cell, x, state, each), expected)


# bfloat16


@pytest.mark.parametrize("cell_class", [RNNCell, GRUCell, LSTMCell])
def test_bfloat16_is_at_least_as_accurate_as_the_steps(cell_class):
    cell = randomize(cell_class(3, 20, dtype=torch.float64)).bfloat16()
    plan = plan_for(cell)
    assert isinstance(plan, Plan), plan
    assert EXECUTOR.refuses(plan, torch.bfloat16, torch.device("cpu")) is None
    x, state = some_inputs(cell, 30, 5, torch.bfloat16)
    lengths = torch.tensor([30, 0, 7, 30, 1])
    exact = copy.deepcopy(cell).double()
    exact_state = type(state)(*[part.double() for part in state])
    expected = results(unroll, unverified_plan(exact), exact, x.double(), exact_state, lengths)
    found, steps = (results(run, plan, cell, x, state, lengths) for run in (EXECUTOR.unroll, unroll))
    assert {each.dtype for each in found} == {torch.bfloat16}
    for one, other, value in zip(found, steps, expected, strict=True):
        scale = value.abs().max()
        error, of_steps = ((each.double() - value).abs().max() / scale for each in (one, other))
        assert error <= max(2 * of_steps, 2**-7)


def test_a_mix_of_bfloat16_and_single_precision_is_an_error():
    cell = randomize(GRUCell(3, 6, dtype=torch.float64))
    plan = unverified_plan(cell)
    cell.bfloat16()
    x, state = some_inputs(cell, 4, 2, torch.bfloat16)
    with pytest.raises(ValueError, match=r"part 0 of the state must be a torch\.bfloat16 tensor"):
        EXECUTOR.unroll(plan, cell, cell.project(x), CellState(state.h.float()))


def test_steps_that_depend_on_the_dtype_have_no_plan():
    def step(projected_t, h, weight, vector):
        return torch.tanh(h @ weight) if h.dtype == torch.bfloat16 else torch.sigmoid(h @ weight)

    assert not isinstance(plan_for(StepCell(step, dtype=torch.bfloat16)), Plan)


def test_steps_that_convert_their_values_have_no_plan():
    cell = StepCell(lambda projected_t, h, weight, vector: (h.float() @ weight.float()).to(h), dtype=torch.bfloat16)
    assert not isinstance(plan_for(cell), Plan)
