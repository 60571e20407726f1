"""A stack is one call of an executor if nothing acts between its layers; its results equal those of the step loop."""

import pytest
import torch
from torch.nn.functional import pad
from torch.nn.utils import parametrize

from rnnkit import CellState, cell_kind, register_executor, register_kind
from rnnkit.plan import Plan, plan_for
from rnnkit_kernels import MachineExecutor
from tests.helpers.cells import SimpleCell
from tests.helpers.models import map_state, small_input, small_model

LENGTHS = torch.tensor([5, 0, 1, 3])
KINDS = ["mgu", "gru_cell", "peephole_lstm", "ligru", "rhn"]  # `gru_cell` has methods of its own, which it is denied


class Counting(MachineExecutor):
    """Notes the number of layers of each call."""

    name = "counting"
    calls: list[int] = []  # noqa: RUF012  # emptied before each test

    def unroll_layers(self, plans, cells, projected, states, lengths=None):
        self.calls.append(len(cells))
        return super().unroll_layers(plans, cells, projected, states, lengths)


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "local/counting")
    Counting.calls.clear()
    with register_executor(Counting):
        yield Counting.calls


def stack_of(kind="mgu", **changes):
    model = small_model(kind, **{"num_layers": 3, "dropout": 0.0, **changes}).double()
    for cell in model.backbone.cells:
        cell.prefers_executor = lambda x, lengths: True
    return model


def results(backbone, x, state, lengths, *, force_step_loop):
    """Return the output, the final states and all gradients."""
    backbone.force_step_loop = force_step_loop
    x, state = map_state(lambda part: part.detach().clone().requires_grad_(), (x, state))
    output, final = backbone(x, state, lengths=lengths)
    parts = [output, *[part for cell in final for part in cell]]
    total = sum((part * torch.linspace(-1, 1, part.numel()).to(part).view_as(part)).sum() for part in parts)
    inputs = [x, *[part for cell in state for part in cell], *backbone.parameters()]
    return [*parts, *torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)]


def assert_equals_step_loop(model, x=None, lengths=None):
    x = small_input().double() if x is None else x
    state = map_state(torch.randn_like, model.initial_state(len(x)))
    found, expected = (results(model.backbone, x, state, lengths, force_step_loop=each) for each in (False, True))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("name", KINDS)
def test_results_and_gradients_equal_the_step_loop(name, lengths, calls):
    assert_equals_step_loop(stack_of(name), lengths=lengths)
    assert calls == [3]


@pytest.mark.parametrize("hidden_size", [[6, 9, 4], [200, 3, 200]])
def test_layers_of_other_sizes(hidden_size, calls):
    assert_equals_step_loop(stack_of(hidden_size=hidden_size))
    assert calls == [3]


def test_wide_layers_are_projected_by_torch(calls):
    model = stack_of("gru_cell", input_size=5, hidden_size=200)
    assert_equals_step_loop(model, torch.randn(4, 5, 5, dtype=torch.float64))
    assert calls == [1, 1, 1]


def test_without_gradients(calls):
    model, x = stack_of(), small_input().double()
    expected = model.backbone.as_step_loop()(x)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(model.backbone(x), expected)
    assert calls == [3, 3]


def test_second_derivatives():
    model = stack_of(num_layers=2, hidden_size=3)
    x = torch.randn(2, 3, model.spec.input_size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: model.backbone(x, lengths=torch.tensor([3, 1]))[0], x)


def test_the_output_may_be_changed_in_place():
    model, x = stack_of(), small_input().double()
    output, final = model.backbone(x)
    expected = torch.autograd.grad(output.sum() + final[0].h.sum(), list(model.backbone.parameters()))
    output, final = model.backbone(x)
    total = output.sum() + final[0].h.sum()
    output.data.zero_()
    torch.testing.assert_close(torch.autograd.grad(total, list(model.backbone.parameters())), expected)


def test_weights_changed_in_place_and_replaced_are_read(calls):
    model, x = stack_of(), small_input().double()
    assert_equals_step_loop(model)
    with torch.no_grad():
        model.backbone.cells[1].weight_hn.mul_(2)
    assert_equals_step_loop(model)
    model.backbone.cells[1].weight_in = torch.nn.Parameter(torch.randn(6, 6, dtype=torch.float64).t())
    assert_equals_step_loop(model)
    model.backbone.cells[2].weight_in = model.backbone.cells[1].weight_in  # tied across layers
    assert_equals_step_loop(model)
    model.backbone.cells[0].weight_in.requires_grad_(False)
    model.backbone.cells[0].weight_if.requires_grad_(False)
    model.backbone.force_step_loop = False
    torch.testing.assert_close(model.backbone(x), model.backbone.as_step_loop()(x))
    assert calls == [3] * 5


def test_gradients_of_the_input_of_frozen_layers():
    model = stack_of()
    for cell in model.backbone.cells[:2]:
        cell.requires_grad_(False)
    x = small_input().double().requires_grad_()
    inputs = [x, *model.backbone.cells[2].parameters()]
    found, expected = (
        torch.autograd.grad(backbone(x)[0].square().sum(), inputs)
        for backbone in (model.backbone, model.backbone.as_step_loop())
    )
    torch.testing.assert_close(found, expected)


# Layers that are not joined


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dropout": 0.5}, [1, 1, 1]),
        ({"options": {"residual": True}}, [1, 1, 1]),
        ({"options": {"layer_norm": "output"}}, [1, 1, 1]),
        ({"bidirectional": True}, [1] * 6),
        ({"options": {"zoneout": 0.5}}, [1, 1, 1]),
        ({"options": {"learn_initial_state": True}}, [3]),
    ],
)
def test_layers_are_joined_only_if_nothing_acts_between_them(changes, expected, calls):
    model = stack_of(**changes)
    model.backbone(small_input().double())
    assert calls == expected


def test_in_evaluation_dropout_does_not_act(calls):
    assert_equals_step_loop(stack_of(dropout=0.5).eval())
    assert calls == [3]


def test_a_change_of_one_layer_is_noticed(calls):
    model = stack_of()
    cell = model.backbone.cells[1]
    seen = []
    assert_equals_step_loop(model)
    handle = cell.register_forward_hook(lambda *_: seen.append(1))
    assert_equals_step_loop(model)
    assert seen
    handle.remove()
    parametrize.register_parametrization(cell, "weight_hn", torch.nn.Tanh())
    assert_equals_step_loop(model)
    parametrize.remove_parametrizations(cell, "weight_hn")
    cell.step = lambda projected_t, state: (state.h, state)
    assert_equals_step_loop(model)
    del cell.step
    of_others = [3, *[1] * 6]  # the other layers run by the executor
    assert calls == of_others
    with torch.autocast("cpu", torch.bfloat16):
        model.float().backbone(small_input().float())
    torch.func.vmap(lambda x: model.backbone(x[None])[0])(small_input().float())
    assert calls == of_others


# Projections


class Mixing(SimpleCell):
    """Its projection of whole sequences is not that of single steps."""

    def project(self, x):
        projected = super().project(x)
        return projected if x.dim() == 2 else projected + projected.roll(1, 0)


class MixingDistant(SimpleCell):
    """Its projection of whole sequences reads the input of three steps before."""

    def project(self, x):
        projected = super().project(x)
        return projected if x.dim() == 2 else projected + pad(projected, (0, 0, 0, 0, 3, 0))[:-3]


class Gated(SimpleCell):
    """Its projection reads the input by an element-wise operator."""

    def project(self, x):
        return super().project(torch.tanh(x))


class Deaf(SimpleCell):
    """It does not read its input."""

    def step(self, projected_t, state):
        h = torch.tanh(state.h @ self.weight_hh)
        return h, CellState(h)


class Batched(SimpleCell):
    def project(self, x):
        return super().project(x) - x.shape[0]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [(Mixing, "differs"), (MixingDistant, "differs"), (Gated, "input"), (Deaf, "input"), (Batched, "")],
)
def test_projections_that_have_no_plan(cell, reason):
    plan = plan_for(cell(5, 6), with_projection=True)
    assert not isinstance(plan, Plan)
    assert reason in plan.reason


@pytest.mark.parametrize(("cell", "expected"), [(Gated, [1, 1]), (Deaf, [1, 1]), (Batched, [])])
def test_without_a_plan_of_the_projection_the_projection_runs(cell, expected, calls):
    with register_kind(cell_kind(cell, name="own", summary="Made for one test.")) as kind:
        model = small_model(kind.name, num_layers=2, dropout=0.0).double()
    assert_equals_step_loop(model)
    assert calls == expected


def test_a_projection_is_read_again_after_a_change(monkeypatch):
    cell = SimpleCell(5, 6)
    first = plan_for(cell, with_projection=True)
    assert isinstance(first, Plan)
    monkeypatch.setattr(SimpleCell, "project", lambda self, x: 2 * torch.nn.functional.linear(x, self.weight_ih))
    second = plan_for(cell, with_projection=True)
    assert isinstance(second, Plan)
    assert second != first
