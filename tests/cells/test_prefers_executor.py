"""Cells with their own `unroll` that prefer an installed executor for some sequences."""

import pytest
import torch

from rnnkit import CellState, cell_kind, register_executor, register_kind
from tests.helpers.cells import SimpleCell
from tests.helpers.executors import Reference
from tests.helpers.models import leaves, random_state, small_input, small_model, total

LENGTHS = torch.tensor([5, 0, 2, 5])


def unroll_steps(cell, x, state, lengths):
    if lengths is not None:
        return NotImplemented
    outputs = []
    for projected_t in cell.project(x):
        h, state = cell.step(projected_t, state)
        outputs.append(h)
    return torch.stack(outputs), state


class LongCell(SimpleCell):
    """A cell whose own `unroll` is slower than an executor for three steps or more."""

    unroll = unroll_steps

    def prefers_executor(self, x, lengths):
        return len(x) >= 3


class LayersCell(LongCell):
    unroll = unroll_steps

    @staticmethod
    def unroll_layers(cells, x, states, lengths, *, directions, dropout):
        if directions == 2 or lengths is not None or dropout:
            return NotImplemented
        final = []
        for cell, state in zip(cells, states, strict=True):
            x, new = unroll_steps(cell, x, state, None)
            final.append(new)
        return x, tuple(final)


class PaddedCell(LongCell):
    """A cell that prefers an executor for sequences of different lengths."""

    unroll = unroll_steps

    def prefers_executor(self, x, lengths):
        return lengths is not None


class Refusing(Reference):
    name = "refusing"

    def refuses(self, plan, dtype, device):
        return "it runs nothing"


@pytest.fixture
def reference(monkeypatch):
    """The reference executor alone, whatever is installed."""
    monkeypatch.setenv("RNNKIT_EXECUTORS", "local/reference")
    with register_executor(Reference):
        yield


def model_of(cell, **changes):
    with register_kind(cell_kind(cell, name="own", summary="Made for one test.")) as kind:
        return small_model(kind.name, **{"bidirectional": True, **changes}).eval()


def executor_of(model, x=None, **keywords):
    model.backbone(small_input() if x is None else x, **keywords)
    return model.backbone.executor


def results(model, x, state, lengths):
    output, final = model.backbone(x, state, lengths=lengths)
    parameters = list(model.backbone.parameters())
    gradients = torch.autograd.grad(total(output, final), parameters, allow_unused=True, materialize_grads=True)
    return [output, *leaves(final), *gradients]


@pytest.mark.usefixtures("reference")
def test_an_executor_runs_where_the_cell_prefers_it():
    model = model_of(LongCell)
    assert executor_of(model) == "reference"
    assert executor_of(model, small_input()[:, :2]) == "unroll"
    assert executor_of(model_of(LayersCell, bidirectional=False)) == "reference"


@pytest.mark.usefixtures("reference")
def test_lengths_may_decide():
    model = model_of(PaddedCell)
    assert executor_of(model) == "unroll"
    assert executor_of(model, lengths=LENGTHS) == "reference"


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("options", [{}, {"layer_norm": "output"}, {"learn_initial_state": True}])
def test_results_equal_those_of_the_step_loop(lengths, batch_first, options):
    model, x = model_of(LayersCell, batch_first=batch_first, options=options), small_input(batch_first=batch_first)
    state = random_state(model)
    found = results(model, x, state, lengths)
    assert model.backbone.executor == "reference"
    model.backbone.force_step_loop = True
    torch.testing.assert_close(found, results(model, x, state, lengths))


@pytest.mark.parametrize(("cell", "expected"), [(LongCell, "unroll"), (LayersCell, "unroll_layers")])
def test_without_an_executor_the_cell_runs_itself(monkeypatch, cell, expected):
    model = model_of(cell, bidirectional=False)
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
    assert executor_of(model) == expected
    monkeypatch.setenv("RNNKIT_EXECUTORS", "local/refusing")
    with register_executor(Refusing):
        assert executor_of(model) == expected


@pytest.mark.usefixtures("reference")
def test_the_cell_runs_itself_under_autocast():
    model, x = model_of(LongCell, dtype=torch.float32), small_input(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert executor_of(model, x) == "unroll"


class CountingCell(LongCell):
    """A cell whose step has no plan: it counts its calls."""

    calls = 0

    def step(self, projected_t, state):
        type(self).calls += 1
        h = torch.tanh(projected_t + self.recurrence(state.h)) / self.calls
        return h, CellState(h)

    def unroll(self, x, state, lengths):
        return x.new_zeros(*x.shape[:2], self.hidden_size), state


@pytest.mark.usefixtures("reference")
def test_a_cell_without_a_plan_runs_itself():
    assert executor_of(model_of(CountingCell)) == "unroll"


@pytest.mark.usefixtures("reference")
def test_a_changed_cell_runs_the_step_loop_and_the_others_as_before():
    model = model_of(LongCell, bidirectional=False)
    model.backbone.cells[0].register_forward_hook(lambda *_: None)
    assert executor_of(model) == "step loop (hooks, parametrizations or attributes change the cell); reference"


@pytest.mark.usefixtures("reference")
def test_the_step_loop_runs_where_it_is_required():
    model = model_of(LongCell)
    model.backbone.all_states(small_input())
    assert model.backbone.executor == "step loop"
    model.backbone.force_step_loop = True
    assert executor_of(model) == "step loop"


@pytest.mark.usefixtures("reference")
def test_compiled_models_are_not_asked(monkeypatch):
    model, x = model_of(LongCell), small_input()
    monkeypatch.setattr(LongCell, "prefers_executor", None)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    model.backbone.run(x, None, None)
    assert not model.backbone.executor


@pytest.mark.usefixtures("reference")
def test_layers_of_different_cells_are_asked_each():
    model = small_model("mixed", dtype=torch.float32, options={"cells": ("lstm_cell", "gru_cell")})
    x = torch.randn(2, 40, 3)
    assert executor_of(model, x) == "unroll; reference"
    assert executor_of(model.double(), x.double()) == "reference"


@pytest.mark.usefixtures("reference")
def test_run_planned_asks_executors_only():
    model, x = model_of(LongCell), small_input()[:, :2]
    found = model.backbone.run_planned(x, None, None)
    assert model.backbone.executor == "reference"
    torch.testing.assert_close(found, model.backbone.run(x, None, None))
    assert model.backbone.run_planned(x[:, :1], None, None) == "an executor takes longer for one step"
    model.backbone.cells[0].register_forward_hook(lambda *_: None)
    assert model.backbone.run_planned(x, None, None).startswith("hooks")


@pytest.mark.usefixtures("reference")
def test_run_planned_ignores_no_option():
    model, x = model_of(LongCell, options={"zoneout": 0.5}).train(), small_input()
    assert model.backbone.run_planned(x, None, None) == "an option of the stack changes its steps"
    model.eval().backbone.force_step_loop = True
    assert model.backbone.run_planned(x, None, None) == "force_step_loop is True"
