"""Planted faults: steps that do more than their operators show are refused, or their plans are made again."""

import dataclasses
import enum
import functools
import gc
import math
import random
import threading
import types
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.func import functional_call, jvp, vmap
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrize

from rnnkit import CellState
from rnnkit.plan import INSTRUCTIONS, Plan, Refusal, choose, plan_for, trust, unroll
from rnnkit.plan.snapshot import freeze
from rnnkit_builtin.gru_cell import GRUCell
from tests.helpers.plans import StepCell, assert_plan_equals_steps, plan_of, randomize

SCALE = 2.0
TABLE = {"scale": 2.0}
OUTSIDE = torch.ones(4, dtype=torch.float64)
CALLS = []


def reason(cell):
    result = plan_for(cell)
    assert isinstance(result, Refusal), result
    return result.reason


def counting(p, h, weight, vector, calls=[0]):  # noqa: B006  # the fault
    calls[0] += 1
    return torch.tanh(p + h * calls[0])


def calls_are_logged(p, h, weight, vector):
    CALLS.append(1)
    return torch.tanh(p + h)


def branches_on_values(p, h, weight, vector):
    return torch.tanh(p + h) if h.sum() > 0 else torch.tanh(p)


def branches_on_a_list(p, h, weight, vector):
    return torch.tanh(p + h) if h.tolist()[0][0] > 0 else torch.tanh(p)


def branches_on_parameters(p, h, weight, vector):
    return torch.tanh(p + h) * vector[0].item()


def branches_on_the_batch(p, h, weight, vector):
    return torch.tanh(p + h) if len(h) > 1 else torch.tanh(p)


def divides_by_the_batch(p, h, weight, vector):
    return torch.tanh(p + h) / len(h)


def branches_on_gradients(p, h, weight, vector):
    return torch.tanh(p + h) if torch.is_grad_enabled() else torch.tanh(p)


def branches_on_the_need_of_gradients(p, h, weight, vector):
    return torch.tanh(p + h) if h.requires_grad else torch.tanh(p)


def draws_in_torch(p, h, weight, vector):
    return torch.tanh(p + h) + torch.randn_like(h)


def applies_dropout(p, h, weight, vector):
    return nn.functional.dropout(torch.tanh(p + h), 0.5, training=True)


def draws_in_python(p, h, weight, vector):
    return torch.tanh(p + h) * random.random()  # noqa: S311


def changes_the_state(p, h, weight, vector):
    h += p
    return torch.tanh(h)


def changes_a_view_of_the_state(p, h, weight, vector):
    h[:, :2] = 0
    return torch.tanh(p + h)


def changes_the_input(p, h, weight, vector):
    return torch.tanh(p.mul_(2) + h)


def changes_a_parameter(p, h, weight, vector):
    with torch.no_grad():
        vector.add_(1)
    return torch.tanh(p + h * vector)


def changes_a_view_of_its_own(p, h, weight, vector):
    x = p + h
    x[:, :2] = 0
    return torch.tanh(x)


def reads_a_view_of_a_changed_tensor(p, h, weight, vector):
    x = p + h
    first = x[:, :2]
    x.mul_(2)
    return torch.tanh(torch.cat([first, first], -1))


def changes_columns_of_its_own(p, h, weight, vector):
    x = p + h @ weight
    first, second = x[:, :2], x[:, 2:]
    first.mul_(0.5)
    second.add_(first).tanh_()
    return torch.cat([second, first], -1)


def reads_a_tensor_outside(p, h, weight, vector):
    return torch.tanh(p + h * OUTSIDE)


def reads_numpy(p, h, weight, vector):
    return torch.tanh(p + h * torch.from_numpy(vector.detach().numpy()))


def blocks_gradients(p, h, weight, vector):
    return torch.tanh(p + h.detach())


def blocks_gradients_by_data(p, h, weight, vector):
    return torch.tanh(p + h.data)


def blocks_gradients_by_a_mode(p, h, weight, vector):
    with torch.no_grad():
        gate = torch.sigmoid(h)
    return torch.tanh(p) * gate


def clips_gradients_by_a_hook(p, h, weight, vector):
    x = torch.tanh(p + h)
    x.register_hook(lambda gradient: gradient.clamp(-100, 100))
    return x


class ClippedGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.clamp(-100, 100)


def clips_gradients_by_a_function(p, h, weight, vector):
    return torch.tanh(ClippedGradient.apply(p + h))


class ClippedUnseen(ClippedGradient):
    @staticmethod
    def forward(ctx, x):
        with torch.enable_grad():
            return x.clone()


def clips_gradients_by_a_function_that_enables_them(p, h, weight, vector):
    return torch.tanh(ClippedUnseen.apply(p + h))


def prints(p, h, weight, vector):
    print("step")  # noqa: T201
    return torch.tanh(p + h)


def mixes_the_batch(p, h, weight, vector):
    return torch.tanh(p + h.flip(0))


def rolls_the_batch(p, h, weight, vector):
    return torch.tanh(p + torch.cat([h[1:], h[:1]]))


def moves_features(p, h, weight, vector):
    return torch.tanh(p + torch.cat(h.view(-1, 2, 2).unbind(2), -1))


def raises_a_constant_to_a_power(p, h, weight, vector):
    return torch.tanh(p + 2**h)


def multiplies_by_a_computed_matrix(p, h, weight, vector):
    return torch.tanh(p + h @ torch.diag(h[0]))


def divides_with_rounding(p, h, weight, vector):
    return p + torch.div(h, 2, rounding_mode="floor")


def averages_the_batch(p, h, weight, vector):
    return torch.tanh(p + h.mean(0))


def sums_all(p, h, weight, vector):
    return torch.tanh(p + h.sum())


def sums_heads_without_their_axis(p, h, weight, vector):
    return torch.tanh(p + torch.cat([h.view(-1, 2, 2).sum(-1)] * 2, -1))


def takes_a_softmax_over_heads(p, h, weight, vector):
    return p + h.view(-1, 2, 2).softmax(1).flatten(1)


def takes_a_norm_of_order_1(p, h, weight, vector):
    return p + h.norm(p=1, dim=-1, keepdim=True)


def multiplies_computed_values(p, h, weight, vector):
    return torch.tanh(p + torch.bmm(h.unsqueeze(1), (h.unsqueeze(2) @ p.unsqueeze(1))).squeeze(1))


def rounds(p, h, weight, vector):
    return torch.tanh(p + h.float().double())


def reads_globals(p, h, weight, vector):
    return torch.tanh(p + h * globals()["SCALE"])


def evaluates_code(p, h, weight, vector):
    return torch.tanh(p + h * eval("SCALE"))  # noqa: S307  # the fault


def branches_on_a_setting(p, h, weight, vector):
    return torch.tanh(p + h) if torch.are_deterministic_algorithms_enabled() else torch.tanh(p - h)


is_deterministic = torch.are_deterministic_algorithms_enabled


def branches_on_a_setting_by_another_name(p, h, weight, vector):
    return torch.tanh(p + h) if is_deterministic() else torch.tanh(p - h)


def branches_on_a_setting_in_a_default(p, h, weight, vector, *, precision=torch.get_float32_matmul_precision):
    return torch.tanh(p + h) if precision() == "highest" else torch.tanh(p - h)


def reads_globals_by_another_name(p, h, weight, vector, *, variables=globals):
    return torch.tanh(p + h * variables()["SCALE"])


def branches_on_strides(p, h, weight, vector):
    return torch.tanh(p + h @ weight) if weight.is_contiguous() else torch.tanh(p)


def branches_on_the_gradient(p, h, weight, vector):
    return torch.tanh(p + h) if vector.grad is None else torch.tanh(p)


def branches_on_the_version(p, h, weight, vector):
    return torch.tanh(p + h) if vector._version % 2 else torch.tanh(p)


def is_not_finite(p, h, weight, vector):
    return p + torch.log(-h.abs())


REFUSED = {
    counting: "step is not the same at every call",
    calls_are_logged: "step changes variables outside",
    branches_on_values: "item reads the values",
    branches_on_a_list: "tolist reads the values",
    branches_on_parameters: "item reads the values",
    branches_on_the_batch: "differs from that of two steps",
    divides_by_the_batch: "step is not the same at every call",
    branches_on_gradients: "the result without gradients of the plan differs from that of two steps",
    branches_on_the_need_of_gradients: "step is not the same at every call",
    draws_in_torch: "randn_like draws random numbers",
    applies_dropout: "draws random numbers",
    draws_in_python: "step is not the same at every call",
    changes_the_state: "add_ changes a tensor in place",
    changes_a_view_of_the_state: "changes a tensor in place",
    changes_the_input: "mul_ changes a tensor in place",
    changes_a_parameter: "add_ changes a tensor in place",
    changes_a_view_of_its_own: "shares memory with one that it changed in place",
    reads_a_view_of_a_changed_tensor: "shares memory with one that it changed in place",
    reads_a_tensor_outside: "step reads a tensor that is not",
    reads_numpy: "detach blocks gradients",
    blocks_gradients: "detach blocks gradients",
    blocks_gradients_by_data: "data blocks gradients",
    blocks_gradients_by_a_mode: "sigmoid runs without gradients",
    clips_gradients_by_a_hook: "register_hook changes gradients",
    clips_gradients_by_a_function: "clone runs without gradients",
    clips_gradients_by_a_function_that_enables_them: "ClippedUnseen is an autograd.Function",
    prints: "prints calls print",
    mixes_the_batch: "flip is not an instruction",
    rolls_the_batch: "does not have the form (batch, ..., features)",
    moves_features: "an operation that moves single features",
    raises_a_constant_to_a_power: "pow with these arguments is not an instruction",
    multiplies_by_a_computed_matrix: "does not have the form (batch, ..., features)",
    divides_with_rounding: "div with rounding_mode='floor' is not supported",
    averages_the_batch: "an operation along the batch",
    sums_all: "an operation along the batch",
    sums_heads_without_their_axis: "sum over the features of a value with other axes, without keepdim=True",
    takes_a_softmax_over_heads: "a softmax over another axis than that of the features",
    takes_a_norm_of_order_1: "a norm of order 1",
    multiplies_computed_values: "bmm is not an instruction",
    rounds: "a value is torch.float32, but the state is torch.float64",
    reads_globals: "reads_globals calls globals",
    evaluates_code: "evaluates_code calls eval",
    branches_on_a_setting: "branches_on_a_setting calls are_deterministic_algorithms_enabled",
    branches_on_a_setting_by_another_name: "is_deterministic is the function are_deterministic_algorithms_enabled",
    branches_on_a_setting_in_a_default: "is the function get_float32_matmul_precision",
    reads_globals_by_another_name: "is the function globals",
    branches_on_strides: "is_contiguous is a property of a tensor whose changes a plan would not see",
    branches_on_the_gradient: "grad is a property of a tensor whose changes a plan would not see",
    branches_on_the_version: "_version is a property of a tensor whose changes a plan would not see",
    is_not_finite: "is not finite",
}


@pytest.mark.parametrize("step", REFUSED, ids=lambda step: step.__name__)
def test_steps_that_tracing_cannot_see_are_refused(step):
    text = reason(StepCell(step))
    assert REFUSED[step] in text
    if "(" in text:
        assert "test_trust.py, line" in text
        assert step.__name__ in text or "ClippedGradient.forward" in text


def is_large(h):
    return h.shape[-1] > 4


def negates_large_widths(p, h, weight, vector):
    return torch.tanh(p + (-h if is_large(h) else h) @ weight)


def branches_on_a_batch_of_one(p, h, weight, vector):
    return torch.tanh(p + (-h if is_large(h) and len(h) == 1 else h) @ weight)


def branches_on_a_batch_of_one_with_gradients(p, h, weight, vector):
    return torch.tanh(p + (-h if is_large(h) and len(h) == 1 and torch.is_grad_enabled() else h) @ weight)


def branches_on_gradients_if_large(p, h, weight, vector):
    return torch.tanh(p + (h if not is_large(h) or torch.is_grad_enabled() else -h) @ weight)


def branches_on_the_need_of_gradients_if_large(p, h, weight, vector):
    return torch.tanh(p + (h if not is_large(h) or h.requires_grad else -h) @ weight)


def blocks_gradients_of_large_widths(p, h, weight, vector):
    return torch.tanh(p + h @ (weight.detach() if is_large(h) else weight))


def blocks_gradients_of_a_batch_of_one(p, h, weight, vector):
    return torch.tanh(p + h @ (weight.detach() if is_large(h) and len(h) == 1 else weight))


def blocks_gradients_by_a_mode_if_large(p, h, weight, vector):
    with torch.set_grad_enabled(not (is_large(h) and len(h) == 1)):
        return torch.tanh(p + h @ weight)


def divides_large_widths_by_the_batch(p, h, weight, vector):
    return torch.tanh(p + (h / len(h) if is_large(h) else h) @ weight)


REFUSED_IF_LARGE = {
    branches_on_a_batch_of_one: "differs from that of",
    branches_on_a_batch_of_one_with_gradients: "differs from that of",
    branches_on_gradients_if_large: "differs from that of",
    branches_on_the_need_of_gradients_if_large: "step is not the same at every call",
    blocks_gradients_of_large_widths: "detach blocks gradients",
    blocks_gradients_of_a_batch_of_one: "detach blocks gradients",
    blocks_gradients_by_a_mode_if_large: "runs without gradients",
    divides_large_widths_by_the_batch: "step is not the same at every call",
}


@pytest.mark.parametrize("step", REFUSED_IF_LARGE, ids=lambda step: step.__name__)
def test_other_widths_of_a_verified_step_are_not_trusted(step):
    assert isinstance(plan_for(StepCell(step)), Plan)
    assert REFUSED_IF_LARGE[step] in reason(StepCell(step, 8, 8))


def test_a_step_is_verified_for_its_structure_not_for_each_width(monkeypatch):
    assert_plan_equals_steps(randomize(GRUCell(3, 5, dtype=torch.float64)))
    verified = []
    monkeypatch.setattr(trust, "verify", lambda plan, cell: verified.append(cell))
    for sizes in ((3, 11), (7, 12)):
        assert_plan_equals_steps(randomize(GRUCell(*sizes, dtype=torch.float64)))
    assert not verified
    plan_for(StepCell(negates_large_widths))
    assert len(verified) == 1
    plan_for(StepCell(negates_large_widths, 3, 3))
    assert len(verified) == 1
    plan_for(StepCell(negates_large_widths, 8, 8))
    assert len(verified) == 2


def test_steps_that_change_tensors_of_their_own_have_plans():
    assert_plan_equals_steps(randomize(StepCell(changes_columns_of_its_own)))


def test_a_step_that_changes_its_cell_is_refused_and_the_cell_is_unchanged():
    class Counting(StepCell):
        def __init__(self):
            super().__init__(None)
            self.calls = 0

        def step(self, projected_t, state):
            self.calls += 1
            h = torch.tanh(projected_t + state.h)
            return h, CellState(h)

    cell = Counting()
    assert reason(cell) == "step changes attributes of the cell"
    assert cell.calls == 0
    cell.calls = 100
    assert reason(cell) == "step changes attributes of the cell"


def test_random_numbers_are_not_consumed():
    cells = [StepCell(step) for step in (draws_in_torch, applies_dropout, adds)]
    states = torch.get_rng_state(), random.getstate()
    results = [plan_for(cell) for cell in cells]
    assert [type(each) for each in results] == [Refusal, Refusal, Plan]
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]


def test_steps_of_very_many_operators_are_refused_after_the_first_thousand():
    """The time to make a plan grows faster than the number of operators."""
    ran = []

    class Long(StepCell):
        def step(self, projected_t, state):
            h = projected_t + state.h
            for number in range(self.count):
                h = torch.tanh(h)
                ran.append(number)
            return h, CellState(h)

    cell = Long(None)
    cell.count = 10_000
    assert reason(cell).startswith("step calls more than 1000 operators (test_trust.py, line ")
    assert len(ran) <= 1000


# Values that change between calls


class Scaled(StepCell):
    scale = 2.0

    def __init__(self):
        super().__init__(None)
        self.factor = 1.0
        self.options = {"factors": [1.0, 2.0]}
        self.mask = torch.ones(4, dtype=torch.float64)
        self.register_buffer("offset", torch.zeros(4, dtype=torch.float64))
        self.activation = torch.tanh

    def step(self, projected_t, state):
        x = projected_t * self.factor + state.h * self.options["factors"][1] * self.scale * self.mask
        h = self.activation(x @ self.weight.t() + self.offset) * self.vector
        return h, CellState(h)


def set_attribute(cell):
    cell.factor = -3.0


def set_zero(cell):
    cell.factor = -0.0


def set_nested_value(cell):
    cell.options["factors"][1] = 5.0


def set_function(cell):
    cell.activation = torch.sigmoid


def set_tensor(cell):
    cell.mask = torch.tensor([1.0, 0.0, 2.0, 3.0], dtype=torch.float64)


def change_tensor(cell):
    cell.mask[1] = 7


def change_buffer(cell):
    cell.offset += 1


def change_parameter(cell):
    with torch.no_grad():
        cell.weight.mul_(2)


def replace_parameter(cell):
    cell.weight = nn.Parameter(torch.randn(4, 4, dtype=torch.float64))


def freeze_parameter(cell):
    cell.weight.requires_grad_(False)


def replace_step(cell):
    cell.step = types.MethodType(lambda self, p, state: (p - state.h * self.vector, CellState(p * 2)), cell)


def parametrize_weight(cell):
    class Doubled(nn.Module):
        def forward(self, weight):
            return 2 * weight

    parametrize.register_parametrization(cell, "weight", Doubled())


@pytest.mark.parametrize(
    "change",
    [
        set_attribute,
        set_zero,
        set_nested_value,
        set_function,
        set_tensor,
        change_tensor,
        change_buffer,
        change_parameter,
        replace_parameter,
        freeze_parameter,
        replace_step,
        parametrize_weight,
    ],
    ids=lambda change: change.__name__,
)
def test_changes_after_the_first_call_are_seen(change):
    cell = randomize(Scaled())
    assert_plan_equals_steps(cell)
    change(cell)
    assert_plan_equals_steps(cell)


def test_a_class_attribute_that_changes_is_seen(monkeypatch):
    cell = randomize(Scaled())
    assert_plan_equals_steps(cell)
    monkeypatch.setattr(Scaled, "scale", -1.0)
    assert_plan_equals_steps(cell)


def test_a_patched_method_is_seen(monkeypatch):
    cell = randomize(Scaled())
    assert_plan_equals_steps(cell)
    monkeypatch.setattr(Scaled, "step", lambda self, p, state: (p * self.vector + state.h, CellState(p - state.h)))
    assert_plan_equals_steps(cell)


def test_training_mode_is_seen():
    class Training(StepCell):
        def step(self, projected_t, state):
            h = torch.tanh(projected_t + state.h) if self.training else projected_t + state.h
            return h, CellState(h)

    cell = Training(None)
    assert_plan_equals_steps(cell)
    assert_plan_equals_steps(cell.eval())


def helper(h):
    return h * SCALE


def reads_a_global(p, h, weight, vector):
    return torch.tanh(p + h * SCALE)


def reads_a_global_in_a_helper(p, h, weight, vector):
    return torch.tanh(p + helper(h))


def reads_a_table(p, h, weight, vector):
    return torch.tanh(p + h * TABLE["scale"])


@pytest.mark.parametrize("step", [reads_a_global, reads_a_global_in_a_helper, reads_a_table])
def test_global_variables_that_change_are_seen(step, monkeypatch):
    cell = StepCell(step)
    assert_plan_equals_steps(cell)
    monkeypatch.setitem(globals(), "SCALE", 7.0)
    monkeypatch.setitem(TABLE, "scale", 7.0)
    assert_plan_equals_steps(cell)


def test_a_helper_that_is_replaced_is_seen(monkeypatch):
    cell = StepCell(reads_a_global_in_a_helper)
    assert_plan_equals_steps(cell)
    monkeypatch.setitem(globals(), "helper", lambda h: -h)
    assert_plan_equals_steps(cell)


def test_a_module_of_settings_is_seen(monkeypatch):
    settings = types.ModuleType("settings_of_a_plugin")
    settings.SCALE = 2.0
    monkeypatch.setitem(globals(), "settings", settings)
    cell = StepCell(lambda p, h, weight, vector: p + h * settings_scale())
    assert_plan_equals_steps(cell)
    settings.SCALE = 3.0
    assert_plan_equals_steps(cell)


def settings_scale():
    return settings.SCALE  # noqa: F821  # the test defines it


def test_a_closure_that_changes_is_seen():
    scale = 2.0

    def step(p, h, weight, vector):
        return torch.tanh(p + h * scale)

    cell = StepCell(step)
    assert_plan_equals_steps(cell)
    scale = 3.0
    assert_plan_equals_steps(cell)


def test_a_decorated_step_is_seen():
    scale = [2.0]

    def scaled(function):
        @functools.wraps(function)
        def wrapper(*arguments):
            return scale[0] * function(*arguments)

        return wrapper

    cell = StepCell(scaled(lambda p, h, weight, vector: torch.tanh(p + h)))
    assert_plan_equals_steps(cell)
    scale[0] = 3.0
    assert_plan_equals_steps(cell)


class SharedWeights(StepCell):
    def __init__(self):
        super().__init__(None)
        self.other = self.weight

    def step(self, projected_t, state):
        h = torch.tanh(projected_t @ self.weight + state.h @ self.other)
        return h, CellState(h)


def test_weights_that_are_no_longer_shared_are_seen():
    cell = randomize(SharedWeights())
    assert_plan_equals_steps(cell)
    cell.other = nn.Parameter(torch.randn(4, 4, dtype=torch.float64))
    assert_plan_equals_steps(cell)


class Constants:
    class Inner:
        scale = 2.0


class MoreConstants(Constants):
    pass


def test_constants_of_classes_that_change_are_seen(monkeypatch):
    cell = StepCell(lambda p, h, weight, vector: p + h * MoreConstants.Inner.scale)
    assert_plan_equals_steps(cell)
    monkeypatch.setattr(Constants.Inner, "scale", 3.0)
    assert_plan_equals_steps(cell)


def test_a_class_in_an_attribute_is_seen(monkeypatch):
    class Reads(StepCell):
        def step(self, projected_t, state):
            h = projected_t + state.h * self.constants.Inner.scale
            return h, CellState(h)

    cell = Reads(None)
    cell.constants = Constants
    assert_plan_equals_steps(cell)
    monkeypatch.setattr(Constants.Inner, "scale", 3.0)
    assert_plan_equals_steps(cell)


def test_equal_numbers_may_be_different_constants():
    values = [0, 0.0, -0.0, False, 1, 1.0, True, math.nan, math.inf, "0", None, torch.float32, (0,), [0]]
    frozen = [freeze(value, "a constant") for value in values]
    assert len(set(frozen)) == len(values)
    assert freeze(float("nan"), "a constant") == freeze(math.nan, "a constant")


class Table(dict):
    """A dictionary with attributes."""


@dataclasses.dataclass(slots=True)
class Record:
    scale: float


@pytest.mark.parametrize(
    "container",
    [Table(), Record(2.0), types.SimpleNamespace(scale=2.0), reads_numpy],
    ids=lambda each: type(each).__name__,
)
def test_attributes_of_containers_that_change_are_seen(container):
    class Reads(StepCell):
        def step(self, projected_t, state):
            h = projected_t + state.h * self.container.scale
            return h, CellState(h)

    container.scale = 2.0
    cell = Reads(None)
    cell.container = container
    assert_plan_equals_steps(cell)
    cell.container.scale = 3.0
    assert_plan_equals_steps(cell)


class Scale(nn.Module):
    """A module and a class with a scale, which a step reads by a method."""

    of_class = 2.0

    def __init__(self):
        super().__init__()
        self.scale = 2.0

    def forward(self):
        return self.scale

    @classmethod
    def read(cls):
        return cls.of_class


@dataclasses.dataclass
class Config:
    scale: ClassVar[float] = 2.0


class Number(float):
    """A number with attributes."""


class Mode(enum.Enum):
    FAST = 1


class Meta(type):
    scale = 2.0


class OfMeta(metaclass=Meta):
    pass


def with_scale(value):
    value.scale = 2.0
    return value


# The attribute `held` of a cell, what the step reads of it, and a change.
HELD = {
    "attribute": (lambda: 2.0, lambda cell: cell.held, lambda cell, patch: setattr(cell, "held", 3.0)),
    "class_of_a_dataclass": (
        Config,
        lambda cell: cell.held.scale,
        lambda cell, patch: patch.setattr(Config, "scale", 3.0),
    ),
    "class_of_a_dictionary": (
        Table,
        lambda cell: cell.held.of_class,
        lambda cell, patch: patch.setattr(Table, "of_class", 3.0),
    ),
    "method_of_a_module": (
        lambda: Scale().forward,
        lambda cell: cell.held(),
        lambda cell, patch: setattr(cell.held.__self__, "scale", 3.0),
    ),
    "method_of_a_class": (
        lambda: Scale.read,
        lambda cell: cell.held(),
        lambda cell, patch: patch.setattr(Scale, "of_class", 3.0),
    ),
    "method_of_a_dictionary": (
        lambda: {"scale": 2.0}.get,
        lambda cell: cell.held("scale"),
        lambda cell, patch: cell.held.__self__.update(scale=3.0),
    ),
    "subclass_of_a_number": (
        lambda: with_scale(Number(1.0)),
        lambda cell: cell.held.scale,
        lambda cell, patch: setattr(cell.held, "scale", 3.0),
    ),
    "member_of_an_enumeration": (
        lambda: with_scale(Mode.FAST),
        lambda cell: cell.held.scale,
        lambda cell, patch: patch.setattr(Mode.FAST, "scale", 3.0),
    ),
    "enumeration": (
        lambda: with_scale(Mode.FAST) and Mode,
        lambda cell: cell.held.FAST.scale,
        lambda cell, patch: patch.setattr(Mode.FAST, "scale", 3.0),
    ),
    "metaclass": (
        lambda: OfMeta,
        lambda cell: cell.held.scale,
        lambda cell, patch: patch.setattr(Meta, "scale", 3.0),
    ),
    "attribute_of_a_parameter": (
        lambda: None,
        lambda cell: getattr(cell.weight, "scale", 2.0),
        lambda cell, patch: setattr(cell.weight, "scale", 3.0),
    ),
    "changed_attribute_of_a_parameter": (
        lambda: None,
        lambda cell: with_default_scale(cell.weight).scale,
        lambda cell, patch: setattr(cell.weight, "scale", 3.0),
    ),
    "default_dtype": (
        lambda: None,
        lambda cell: 2.0 if torch.get_default_dtype() == torch.float32 else 3.0,
        lambda cell, patch: torch.set_default_dtype(torch.float64),
    ),
    "attribute_of_torch": (
        lambda: None,
        lambda cell: torch.scale_of_a_test,
        lambda cell, patch: patch.setattr(torch, "scale_of_a_test", 3.0),
    ),
    "variable_of_a_module_by_name": (
        lambda: None,
        lambda cell: getattr(module_of_settings, "scale"),  # noqa: B009  # the name is a string
        lambda cell, patch: patch.setattr(module_of_settings, "scale", 3.0),
    ),
}
module_of_settings = types.ModuleType("module_of_settings")
module_of_settings.scale = 2.0


def with_default_scale(tensor):
    return tensor if vars(tensor) else types.SimpleNamespace(scale=2.0)


@pytest.mark.parametrize("name", [*HELD, "_new", "reset_parameters", "my_hooks"])
def test_what_a_step_reads_elsewhere_is_seen(name, monkeypatch):
    make, read, change = HELD.get(name, HELD["attribute"])
    attribute = "held" if name in HELD else name

    class Reads(StepCell):
        @property
        def held(self):
            return vars(self)[attribute]

        @held.setter
        def held(self, value):
            vars(self)[attribute] = value

        def step(self, projected_t, state):
            h = torch.tanh(projected_t + state.h * read(self))
            return h, CellState(h)

    monkeypatch.setattr(Table, "of_class", 2.0, raising=False)
    monkeypatch.setattr(torch, "scale_of_a_test", 2.0, raising=False)
    cell = Reads(None)
    cell.held = make()
    if name == "changed_attribute_of_a_parameter":
        cell.weight.scale = 2.0
    try:
        assert_plan_equals_steps(cell)
        change(cell, monkeypatch)
        assert read(cell) == 3.0
        assert_plan_equals_steps(cell)
    finally:
        torch.set_default_dtype(torch.float32)


def test_methods_of_two_modules_of_a_cell_are_different():
    class TwoModules(StepCell):
        def __init__(self):
            super().__init__(None)
            self.first, self.second = nn.Linear(4, 4, dtype=torch.float64), nn.Linear(4, 4, dtype=torch.float64)
            self.activation = self.first.forward

        def step(self, projected_t, state):
            h = torch.tanh(projected_t + self.activation(state.h))
            return h, CellState(h)

    cell = randomize(TwoModules())
    assert_plan_equals_steps(cell)
    cell.activation = cell.second.forward
    assert_plan_equals_steps(cell)


def test_tensors_in_lists_are_different():
    class Lists(StepCell):
        def __init__(self):
            super().__init__(None)
            self.other = self.new_parameter(4)
            self.vectors = [[self.vector]]

        def step(self, projected_t, state):
            h = torch.tanh(projected_t + self.vectors[0][0] * state.h)
            return h, CellState(h)

    cell = randomize(Lists())
    assert_plan_equals_steps(cell)
    cell.vectors[0][0] = cell.other
    assert_plan_equals_steps(cell)


class Slots(StepCell):
    __slots__ = ("scale",)


def test_slots_are_refused():
    assert reason(Slots(adds)) == "Slots has __slots__, whose values a plan would not see"


def test_a_module_that_is_not_registered_is_refused():
    cell = StepCell(adds)
    cell.__dict__["parent"] = nn.Linear(4, 4)
    assert reason(cell) == "parent is a Linear, an object whose changes a plan would not see"


def imports_while_it_runs(p, h, weight, vector):
    from tests.helpers.models import BATCH

    return torch.tanh(p + h * BATCH)


def test_imports_are_refused():
    assert reason(StepCell(imports_while_it_runs)) == "imports_while_it_runs imports tests.helpers.models while it runs"


@pytest.mark.parametrize("part", ["value", "derivative"])
def test_a_wrong_instruction_is_found(part, monkeypatch):
    wrong = INSTRUCTIONS["sin"]
    monkeypatch.setitem(INSTRUCTIONS, "sin", wrong._replace(**{part: getattr(INSTRUCTIONS["tanh"], part)}))
    cell = StepCell(lambda p, h, weight, vector: torch.sin(p + h))
    assert "of the plan differs from that of two steps by" in reason(cell)


def test_widths_without_a_common_divisor_are_refused():
    cell = StepCell(lambda p, h, weight, vector: torch.cat([h[:, 1:], h[:, :1]], -1) + p, 97, 97)
    assert "have the common divisor 1, which would give more than 64 pieces" in reason(cell)


def test_outputs_with_three_axes_are_refused():
    class ThreeAxes(StepCell):
        def step(self, projected_t, state):
            return state.h.view(-1, 2, 2), state

    assert reason(ThreeAxes(None)) == "step must return an output of shape (batch, features)"


class Settings:
    scale = 2.0

    def __init__(self):
        self.other = 1.0


def test_objects_whose_changes_cannot_be_seen_are_refused():
    cell = StepCell(lambda p, h, weight, vector: p + h)
    cell.settings = Settings()
    assert reason(cell) == "settings is a Settings, an object whose changes a plan would not see"


def test_hooks_are_refused():
    cell = StepCell(lambda p, h, weight, vector: p + h)
    cell.inner = nn.Linear(4, 4, dtype=torch.float64)
    cell.inner.register_forward_hook(lambda module, args, output: None)
    assert reason(cell) == "a module has hooks, which would not be called: inner._forward_hooks"


def test_global_hooks_are_refused():
    handle = torch_module.register_module_forward_hook(lambda module, args, output: None)
    try:
        assert "global hooks of modules" in reason(StepCell(lambda p, h, weight, vector: p + h))
    finally:
        handle.remove()


# Modes and dtypes


def adds(p, h, weight, vector):
    return torch.tanh(p + h @ weight)


def test_modes_of_torch_are_refused_for_now():
    cell = StepCell(adds)
    with torch.autocast("cpu"):
        assert reason(cell) == "autocast is enabled"
    assert isinstance(plan_for(cell), Plan)


def test_other_dtypes_are_refused():
    assert "torch.float16" in reason(StepCell(adds, dtype=torch.float16))
    assert "complex128" in reason(StepCell(adds, dtype=torch.complex128))
    assert "float32, torch.float64" in reason(mixed_dtypes())


def mixed_dtypes():
    cell = StepCell(adds)
    cell.vector = nn.Parameter(torch.zeros(4, dtype=torch.float32))
    return cell


def test_meta_tensors_are_refused():
    assert reason(StepCell(adds).to("meta")) == "the parameters are on the device meta"


def test_errors_of_the_step_are_refused():
    def step(p, h, weight, vector):
        raise KeyError("no such gate")

    assert "KeyError" in reason(StepCell(step))


# The reference executor


def two_steps(cell, plan, x, h):
    output, (final,) = unroll(plan, cell, x, CellState(h))
    return output, final


def test_double_backward_equals_the_step_loop():
    cell = randomize(StepCell(adds))
    plan = plan_of(cell)
    x, h = (torch.randn(*shape, 4, dtype=torch.float64, requires_grad=True) for shape in ((2, 3), (3,)))
    assert torch.autograd.gradcheck(functools.partial(two_steps, cell, plan), (x, h))
    assert torch.autograd.gradgradcheck(functools.partial(two_steps, cell, plan), (x, h))


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's forward-mode rules use it
def test_transforms_raise():
    cell = randomize(StepCell(adds))
    plan = plan_of(cell)
    x, h = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    with pytest.raises(RuntimeError):
        vmap(lambda x: two_steps(cell, plan, x, h)[0])(x.unsqueeze(0))
    with pytest.raises(RuntimeError):
        jvp(lambda x: two_steps(cell, plan, x, h)[0], (x,), (x,))


def test_swapped_parameters_are_used():
    cell = randomize(StepCell(adds))
    plan = plan_of(cell)
    x, h = torch.randn(1, 3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cell

        def forward(self):
            return two_steps(cell, plan, x, h)[0][0]

    weight = torch.randn(4, 4, dtype=torch.float64)
    found = functional_call(Model(), {"cell.weight": weight}, ())
    torch.testing.assert_close(found, torch.tanh(x[0] + h @ weight))


def test_empty_batch():
    cell = randomize(StepCell(adds))
    output, (final,) = unroll(plan_of(cell), cell, torch.zeros(2, 0, 4).double(), CellState(torch.zeros(0, 4).double()))
    assert output.shape == (2, 0, 4)
    assert final.shape == (0, 4)


def test_padding_is_not_read():
    cell = randomize(StepCell(adds))
    x, h = torch.randn(3, 2, 4, dtype=torch.float64), torch.zeros(2, 4, dtype=torch.float64)
    x[1:, 1] = torch.nan
    x.requires_grad_()
    output, (final,) = unroll(plan_of(cell), cell, x, CellState(h), torch.tensor([3, 1]))
    gradients = torch.autograd.grad(output.sum() + final.sum(), [x, cell.weight])
    assert all(each.isfinite().all() for each in (output, final, *gradients))


def test_a_garbage_collection_is_not_part_of_the_step():
    count = []

    def callback(phase, info):
        count.append(phase)

    gc.callbacks.append(callback)
    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        assert isinstance(plan_for(StepCell(lambda p, h, weight, vector: torch.tanh(p - h))), Plan)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(callback)
    assert count


def test_threads_plan_at_once():
    results = []
    cell = StepCell(adds)
    threads = [threading.Thread(target=lambda: results.append(plan_for(cell))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(isinstance(each, Plan) for each in results)


def test_a_plan_is_made_once():
    cell = StepCell(adds)
    assert plan_for(cell) is plan_for(cell)
    assert plan_for(StepCell(adds)) is plan_for(cell)


def test_plans_that_are_not_used_are_dropped(monkeypatch):
    monkeypatch.setattr(trust, "_MAX_PLANS", 2)
    cell = Scaled()
    first = plan_for(cell)
    for factor in range(3):
        cell.factor = factor
        plan_for(cell)
    cell.factor = 1.0
    assert plan_for(cell) is not first


def test_the_default_device_of_torch_does_not_matter():
    """A plan is made with random values, numbers and constants on the processor."""
    cell = StepCell(lambda p, h, w, v: torch.cat((p * h + torch.zeros_like(p)).chunk(2, -1), -1), 10, 10)
    with torch.device("meta"):
        assert isinstance(plan_for(cell), Plan)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_plan_is_made_without_gradients(mode):
    """The first call of a model is often inference, and its plan is kept for training."""
    cell = StepCell(lambda p, h, weight, vector: torch.tanh(p + h @ weight) * 0.25)
    with mode():
        assert isinstance(plan_for(cell), Plan)


class Wrapped(torch.Tensor):
    pass


def test_a_tensor_of_a_subclass_is_refused():
    cell = GRUCell(3, 4, dtype=torch.float64)
    cell.weight_hh = torch.nn.Parameter(cell.weight_hh.detach().as_subclass(Wrapped))
    assert plan_for(cell) == Refusal("the tensor weight_hh is of the class Wrapped")


def negative_view(tensor):
    """Return a tensor of the same values, whose memory has the opposite ones."""
    view = torch.complex(torch.zeros_like(tensor), -tensor).conj().imag
    assert view.is_neg()
    return view


LAYOUTS = {
    "torch.sparse_coo": lambda tensor: tensor.to_sparse(),
    "torch.sparse_csr": lambda tensor: tensor.to_sparse_csr(),
    "torch._mkldnn": lambda tensor: tensor.float().to_mkldnn(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_a_tensor_of_another_layout_is_refused(layout):
    cell = StepCell(adds)
    cell.weight = nn.Parameter(LAYOUTS[layout](cell.weight.detach()), requires_grad=False)
    assert plan_for(cell) == Refusal(f"the tensor weight has the layout {layout}")


@pytest.mark.parametrize("name", ["weight", "mask", "offset"])
def test_a_tensor_that_becomes_a_negative_view_is_refused(name):
    """`data_ptr` points to the values without their sign."""
    cell = randomize(Scaled())
    plan_of(cell)
    getattr(cell, name).data = negative_view(getattr(cell, name).detach())
    assert plan_for(cell) == Refusal(f"the tensor {name} has the negative bit")
    getattr(cell, name).data = getattr(cell, name).data.resolve_neg()
    plan_of(cell)


@pytest.mark.parametrize("which", ["input", "state"])
def test_negative_views_have_no_executor(which):
    cell = StepCell(adds)
    x, h = torch.randn(3, 2, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    given = {"input": (negative_view(x), h), "state": (x, negative_view(h))}[which]
    found = choose([object()], cell, given[0], CellState(given[1]))
    assert found == Refusal("a tensor has the negative bit")
