"""The quick comparison of a cell with what it was notices each kind of change, and keeps no cell alive."""

import copy
import cProfile
import functools
import gc
import pickle
import threading
import types
import weakref

import pytest
import torch
from torch import nn
from torch.func import vmap
from torch.nn.modules import module as torch_module

from rnnkit import CellState
from rnnkit.plan import Plan, plan_for, trust
from rnnkit_builtin.gru_cell import GRUCell
from tests.helpers.plans import StepCell

SCALE = 2.0
TABLE = {"scales": {"first": 2.0}}


def helper(h, factor=1.0, *, offset=0.0):
    return h * factor + offset


def closure():
    scale = 2.0

    def multiply(h):
        return h * scale

    def change():
        nonlocal scale
        scale = 3.0

    return multiply, change


multiply, change_closure = closure()
settings = types.ModuleType("settings_of_a_plugin")
settings.scale = 2.0


class WatchedCell(StepCell):
    constant = 2.0
    table = {"scale": 1.0}  # noqa: RUF012  # the fault

    def __init__(self):
        super().__init__(None)
        self.inner = nn.Linear(4, 4, dtype=torch.float64)
        self.register_buffer("offset", torch.zeros(4, dtype=torch.float64))
        self.mask = torch.ones(4, dtype=torch.float64)
        self.number = 1.0
        self.numbers = [1.0]
        self.pair = (1.0, 2.0)
        self.activation = torch.tanh

    @property
    def doubled(self):
        return 2 * self.number

    def step(self, projected_t, state):
        h = self.activation(helper(self.inner(projected_t)) * SCALE * TABLE["scales"]["first"] * settings.scale)
        h = self.gate(h) * self.doubled + multiply(state.h) * self.vector * self.mask + self.offset
        return h, CellState(h)

    def gate(self, h):
        return h * self.constant * self.table["scale"] * self.numbers[0] * self.pair[1]


def guard_of(cell):
    assert isinstance(plan_for(cell), Plan), plan_for(cell)
    return trust._guarded[cell][None, False][0]


def set_attribute(name, value):
    return lambda cell, patch: setattr(cell, name, value)


def set_function_attribute(name, value):
    return lambda cell, patch: patch.setattr(helper, name, value)


CHANGES = {
    "number": set_attribute("number", 1.5),
    "equal_number_of_another_type": set_attribute("number", 1),
    "new_attribute": set_attribute("other", 1.0),
    "deleted_attribute": lambda cell, patch: delattr(cell, "pair"),
    "renamed_attribute": lambda cell, patch: cell.__dict__.__setitem__("other", cell.__dict__.pop("pair")),
    "list": lambda cell, patch: cell.numbers.append(2.0),
    "number_in_list": lambda cell, patch: cell.numbers.__setitem__(0, 2.0),
    "function": set_attribute("activation", torch.sigmoid),
    "method_of_the_object": set_attribute("gate", lambda h: h),
    "training": lambda cell, patch: cell.eval(),
    "training_of_a_module": lambda cell, patch: cell.inner.eval(),
    "class_attribute": lambda cell, patch: patch.setattr(WatchedCell, "constant", 3.0),
    "new_class_attribute": lambda cell, patch: patch.setattr(WatchedCell, "pair", 3.0, raising=False),
    "attribute_of_a_base_class": lambda cell, patch: patch.setattr(StepCell, "gate", None, raising=False),
    "table_of_the_class": lambda cell, patch: patch.setitem(WatchedCell.table, "scale", 3.0),
    "method": lambda cell, patch: patch.setattr(WatchedCell, "gate", lambda self, h: -h),
    "property": lambda cell, patch: patch.setattr(WatchedCell, "doubled", property(lambda self: 3.0)),
    "class": lambda cell, patch: setattr(cell, "__class__", StepCell),
    "global_variable": lambda cell, patch: patch.setitem(globals(), "SCALE", 3.0),
    "deleted_global_variable": lambda cell, patch: patch.delitem(globals(), "SCALE"),
    "value_of_a_global_variable": lambda cell, patch: patch.setitem(TABLE["scales"], "first", 3.0),
    "global_function": lambda cell, patch: patch.setitem(globals(), "helper", lambda h: -h),
    "variable_of_a_module": lambda cell, patch: patch.setattr(settings, "scale", 3.0),
    "code": set_function_attribute("__code__", (lambda h, factor=1.0, *, offset=0.0: h).__code__),
    "default": set_function_attribute("__defaults__", (3.0,)),
    "keyword_default": lambda cell, patch: patch.setitem(helper.__kwdefaults__, "offset", 3.0),
    "function_attribute": lambda cell, patch: patch.setattr(helper, "other", 3.0, raising=False),
    "closure": lambda cell, patch: patch.setattr(multiply.__closure__[0], "cell_contents", 3.0),
    "hook": lambda cell, patch: cell.register_forward_hook(print),
    "hook_of_a_module": lambda cell, patch: cell.inner.register_full_backward_hook(print),
    "replaced_parameter": lambda cell, patch: setattr(cell, "weight", nn.Parameter(cell.weight.detach())),
    "frozen_parameter": lambda cell, patch: cell.weight.requires_grad_(False),
    "parameter_of_another_dtype": lambda cell, patch: cell.float(),
    "parameter_of_another_shape": lambda cell, patch: setattr(cell.vector, "data", torch.ones(1, dtype=torch.float64)),
    "tied_parameter": lambda cell, patch: setattr(cell, "weight", cell.inner.weight),
    "removed_parameter": lambda cell, patch: setattr(cell, "weight", None),
    "new_parameter": lambda cell, patch: setattr(cell, "other", nn.Parameter(torch.ones(4))),
    "negative_parameter": lambda cell, patch: setattr(
        cell.weight, "data", torch.complex(cell.weight.data, cell.weight.data).conj().imag
    ),
    "attribute_of_a_parameter": lambda cell, patch: setattr(cell.weight, "scale", 2.0),
    "replaced_buffer": lambda cell, patch: setattr(cell, "offset", torch.zeros(4, dtype=torch.float64)),
    "new_buffer": lambda cell, patch: cell.register_buffer("other", torch.zeros(4)),
    "replaced_tensor": set_attribute("mask", torch.ones(4, dtype=torch.float64)),
    "tensor_that_requires_gradients": lambda cell, patch: cell.mask.requires_grad_(),
    "replaced_module": lambda cell, patch: setattr(cell, "inner", nn.Linear(4, 4, dtype=torch.float64)),
    "new_module": lambda cell, patch: setattr(cell, "other", nn.Identity()),
    "attribute_of_a_module": lambda cell, patch: setattr(cell.inner, "in_features", 5),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_noticed(name, monkeypatch):
    cell = WatchedCell()
    guard = guard_of(cell)
    assert guard.is_unchanged()
    CHANGES[name](cell, monkeypatch)
    assert not guard.is_unchanged()


def test_values_that_change_back_are_compared_again(monkeypatch):
    cell = WatchedCell()
    plan = plan_for(cell)
    cell.number = 1.5
    assert plan_for(cell) is not plan
    cell.number = 1.0
    assert plan_for(cell) is plan


def test_plans_of_several_cells_notice_changes_of_their_class_and_of_each_cell(monkeypatch):
    cells = [WatchedCell(), WatchedCell()]
    before = trust.plans_for(cells)
    assert all(isinstance(plan, Plan) for plan in before)
    assert trust.plans_for(cells) == before
    monkeypatch.setattr(WatchedCell, "constant", 3.0)
    of_class = trust.plans_for(cells)
    assert of_class == [plan_for(cell) for cell in cells]
    assert of_class[0] != before[0]
    cells[1].number = 1.5
    first, second = trust.plans_for(cells)
    assert first == of_class[0]
    assert second != of_class[1]


def test_values_of_tensors_may_change():
    cell = WatchedCell()
    guard = guard_of(cell)
    with torch.no_grad():
        cell.weight.add_(1)
    cell.mask[0] = 0
    assert guard.is_unchanged()


def test_memory_that_two_tensors_share_is_compared_again():
    cell = StepCell(lambda p, h, weight, vector: torch.tanh(p + h @ weight))
    cell.first = torch.ones(4, dtype=torch.float64)
    cell.second = cell.first.view(4)
    assert not guard_of(cell).is_unchanged()


def test_parameters_that_share_memory_and_are_different_objects_are_refused():
    cell = StepCell(lambda p, h, weight, vector: torch.tanh(p + h @ weight))
    cell.other = nn.Parameter(cell.weight.data)
    assert plan_for(cell).reason == "a copy of the cell differs from it: do its parameters share memory?"


def test_modes_are_noticed():
    cell = WatchedCell()
    guard = guard_of(cell)
    with torch.autocast("cpu"):
        assert not guard.is_unchanged()
    assert vmap(lambda x: x * guard.is_unchanged())(torch.ones(2)).sum() == 0
    handle = torch_module.register_module_forward_hook(print)
    try:
        assert not guard.is_unchanged()
    finally:
        handle.remove()
    assert guard.is_unchanged()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_first_call_may_be_made_for_inference(mode):
    cell = StepCell(lambda p, h, weight, vector: torch.tanh(p + h @ weight))
    with mode():
        plan = plan_for(cell)
    assert isinstance(plan, Plan), plan
    assert plan_for(cell) is plan


def test_a_copy_has_its_own_guard():
    cell = GRUCell(3, 4)
    plan = plan_for(cell)
    attributes = set(vars(cell))
    for other in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell)), copy.copy(cell)):
        assert other not in trust._guarded
        assert set(vars(other)) == attributes
        assert plan_for(other) is plan
    other.nonlinearity = "another"
    assert trust._guarded[cell][None, False][0].is_unchanged() is (other.__dict__ is not cell.__dict__)


def cell_with_a_function_of_itself():
    cell = StepCell(None)
    cell.function = lambda p, h, weight, vector: torch.tanh(p + h)
    cell.describe = lambda: cell
    return cell


def small_gru():
    return GRUCell(3, 4)


@pytest.mark.parametrize("make", [WatchedCell, small_gru, cell_with_a_function_of_itself])
def test_cells_are_not_kept_alive(make):
    cell = make()
    guard_of(cell)
    cell.register_forward_hook(functools.partial(print, cell))
    reference, parameter = weakref.ref(cell), weakref.ref(next(cell.parameters()))
    del cell
    gc.collect()
    assert reference() is None
    assert parameter() is None


def test_a_guard_without_its_cell_is_not_valid():
    cell = WatchedCell()
    guard = guard_of(cell)
    del cell
    gc.collect()
    assert not guard.is_unchanged()


def test_threads_compare_at_once():
    cell = WatchedCell()
    plan = plan_for(cell)
    results = []

    def compare():
        for number in range(100):
            cell.number = 1.0 + 0.0 * number  # an equal number, but another object
            results.append(plan_for(cell))

    threads = [threading.Thread(target=compare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 400
    assert all(each is plan for each in results)


def test_a_profiler_sees_the_rest_of_the_program():
    """`sys.setprofile` cannot restore the profiler of `cProfile`."""
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        result = plan_for(StepCell(lambda p, h, weight, vector: torch.tanh(p - h @ weight)))
        helper(torch.ones(1))
    finally:
        profiler.disable()
    assert isinstance(result, Plan), result
    assert any(entry.code is helper.__code__ for entry in profiler.getstats())
