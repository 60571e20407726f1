"""`Cell.prepare` computes the values of weights alone, once for all steps."""

from typing import ClassVar

import pytest
import torch
from torch.nn import functional as F

from rnnkit import Cell, CellState, RecurrentSpec, build_model, cell_kind, register_kind
from tests.helpers.models import total


class SkewCell(Cell):
    calls: ClassVar[list[str]] = []

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)

    def prepare(self):
        self.calls.append("prepare")
        return torch.linalg.matrix_exp(self.weight_hh - self.weight_hh.T), self.weight_hh.sum(0)

    def project(self, x):
        return F.linear(x, self.weight_ih)

    def step(self, projected_t, state):
        x_t, (matrix, row) = projected_t
        h = torch.tanh(x_t + F.linear(state.h, matrix) + row)
        return h, CellState(h)


class SlowCell(SkewCell):
    """The same without `prepare`."""

    prepare = Cell.prepare

    def step(self, projected_t, state):
        return super().step((projected_t, SkewCell.prepare(self)), state)


@pytest.fixture
def models():
    """A model whose cells have `prepare`, and an equal one without."""
    kinds = [cell_kind(cell, name=cell.__name__.lower(), summary="A kind.") for cell in (SkewCell, SlowCell)]
    fields = {"input_size": 3, "hidden_size": 5, "num_layers": 2, "bidirectional": True, "output_size": 2}
    with register_kind(kinds[0]), register_kind(kinds[1]):
        models = [build_model(RecurrentSpec(kind=kind.name, **fields), dtype=torch.float64) for kind in kinds]
    models[1].load_state_dict(models[0].state_dict())
    SkewCell.calls.clear()
    return models


def results(model, x, *arguments):
    """Return the output, and the gradients of the parameters and the input."""
    model.zero_grad()
    x = x.clone().requires_grad_()
    y, state = model(x, *arguments, return_state=True)
    total(y, state).backward()
    return y, x.grad, [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("force_step_loop", [True, False])
def test_a_model_equals_one_that_computes_the_values_at_every_step(models, steps, force_step_loop):
    x = torch.randn(4, steps, 3, dtype=torch.float64)
    for model in models:
        model.backbone.force_step_loop = force_step_loop
    torch.testing.assert_close(*[results(model, x) for model in models])


def test_prepare_runs_once_for_each_cell_in_the_step_loop(models):
    prepared, slow = models
    for model, calls in ((prepared, 4), (slow, 4 * 7)):
        model.backbone.force_step_loop = True
        SkewCell.calls.clear()
        model(torch.randn(4, 7, 3, dtype=torch.float64))
        assert len(SkewCell.calls) == calls


def test_the_values_follow_changes_of_the_weights(models):
    model = models[0]
    model.backbone.force_step_loop = True
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    before = model(x)
    with torch.no_grad():
        for cell in model.backbone.cells:
            cell.weight_hh.mul_(2)
    models[1].load_state_dict(model.state_dict())
    assert not torch.allclose(model(x), before)
    torch.testing.assert_close(model(x), models[1](x))


def test_lengths_and_states_of_all_steps(models):
    x, lengths = torch.randn(3, 7, 3, dtype=torch.float64), torch.tensor([7, 2, 4])
    for model in models:
        model.backbone.force_step_loop = True
    outputs, states = zip(*[model.backbone.all_states(x, lengths=lengths) for model in models], strict=True)
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*states)


def test_a_cell_with_hooks_runs_as_a_module(models):
    prepared, slow = models
    prepared.backbone.cells[0].register_forward_hook(lambda *_: None)
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    torch.testing.assert_close(prepared(x), slow(x))


def test_options_that_change_steps_keep_the_prepared_values():
    fields = {"input_size": 3, "hidden_size": 5, "options": {"zoneout": 0.3}}
    outputs = []
    for cell in (SkewCell, SlowCell):
        with register_kind(cell_kind(cell, name="zoned", summary="A kind.")):
            torch.manual_seed(1)
            model = build_model(RecurrentSpec(kind="zoned", **fields), dtype=torch.float64).train()
        outputs.append(model(torch.ones(4, 7, 3, dtype=torch.float64)))
    torch.testing.assert_close(*outputs)


def test_transforms_see_the_weights_that_they_are_given(models):
    model, slow = models
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    doubled = {name: 2 * parameter.detach() for name, parameter in model.named_parameters()}
    outputs = [torch.func.functional_call(each, doubled, (x,)) for each in (model, slow)]
    torch.testing.assert_close(*outputs)
    batched = {name: torch.stack([parameter, 3 * parameter]) for name, parameter in doubled.items()}
    outputs = [
        torch.vmap(lambda weights, each=each: torch.func.functional_call(each, weights, (x,)))(batched)
        for each in (model, slow)
    ]
    torch.testing.assert_close(*outputs)


def test_a_subclass_with_another_prepare_does_not_run_the_unroll_of_its_base():
    class Unrolled(SkewCell):
        def unroll(self, x, state, lengths):
            raise AssertionError

    class Doubled(Unrolled):
        def prepare(self):
            matrix, row = super().prepare()
            return 2 * matrix, row

    for cell, runs in ((Unrolled, False), (Doubled, True)):
        with register_kind(cell_kind(cell, name="unrolled", summary="A kind.")):
            model = build_model(RecurrentSpec(kind="unrolled", input_size=3, hidden_size=5))
        if runs:
            assert model(torch.randn(4, 7, 3)).shape == (4, 5)
        else:
            with pytest.raises(AssertionError):
                model(torch.randn(4, 7, 3))
