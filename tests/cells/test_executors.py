"""Executors of plans: when one replaces the step loop, and what a model says about it."""

import copy
import re

import pytest
import torch
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit import (
    Catalog,
    PluginError,
    cell_kind,
    list_executors,
    register_executor,
    register_kind,
)
from rnnkit.executors import installed_executors
from rnnkit.plan import Refusal, choose
from rnnkit.testing import use_catalog
from tests.helpers.cells import SimpleCell
from tests.helpers.executors import Reference
from tests.helpers.models import map_state, small_input, small_model

LENGTHS = torch.tensor([5, 0, 2, 5])
PLUGIN = """
from rnnkit import hookimpl
from rnnkit.plan import Executor, unroll

class Installed(Executor):
    name = "installed"
    def refuses(self, plan, dtype, device):
        return None
    def unroll(self, plan, cell, projected, state, lengths=None):
        return unroll(plan, cell, projected, state, lengths)

@hookimpl
def register_executors(register):
    register(Installed)
"""


class OnlyFloat32(Reference):
    name = "only_float32"

    def refuses(self, plan, dtype, device):
        return None if dtype == torch.float32 else f"it runs no {dtype}"


class MaskableCell(SimpleCell):
    recurrent_dropout_parts = ("h",)


@pytest.fixture
def reference(monkeypatch):
    """The reference executor alone, whatever is installed."""
    monkeypatch.setenv("RNNKIT_EXECUTORS", "local/reference")
    with register_executor(Reference):
        yield


def simple_model(cell=SimpleCell, **changes):
    with register_kind(cell_kind(cell, name="own", summary="Made for one test.")) as kind:
        return small_model(kind.name, **{"bidirectional": True, "dropout": 0.5, **changes}).eval()


def executor_of(model, *arguments, **keywords):
    model.backbone(*(arguments or (small_input(),)), **keywords)
    return model.backbone.executor


def results(model, x, state, *, force_step_loop):
    model.backbone.force_step_loop = force_step_loop
    x, state = map_state(lambda part: part.detach().clone().requires_grad_(), (x, state))
    output, final = model.backbone(x, state, lengths=LENGTHS)
    parts = [output, *(part for cell in final for part in cell)]
    weights = [torch.linspace(-1, 1, part.numel(), dtype=part.dtype).view_as(part) for part in parts]
    total = sum((part * weight).sum() for part, weight in zip(parts, weights, strict=True))
    inputs = [x, *(part for cell in state for part in cell), *model.backbone.parameters()]
    return [*parts, *torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)]


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("options", [{}, {"layer_norm": "output"}, {"residual": True}, {"learn_initial_state": True}])
def test_outputs_states_and_gradients_equal_those_of_the_step_loop(options):
    model, x = simple_model(options=options), small_input()
    state = map_state(torch.randn_like, model.initial_state(len(x)))
    found, expected = (results(model, x, state, force_step_loop=each) for each in (False, True))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    model.backbone.force_step_loop = False
    assert executor_of(model) == "reference"


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize(("mode", "size"), [(torch.inference_mode, 9), (torch.no_grad, 10)])
def test_the_first_call_may_be_made_without_gradients(mode, size):
    """No other test has a model of these sizes, whose plan would be known."""
    with mode():
        model, x = simple_model(hidden_size=size), small_input()
        assert executor_of(model, x) == "reference"
    assert executor_of(simple_model(hidden_size=size), x.clone()) == "reference"


@pytest.mark.usefixtures("reference")
def test_dropout_between_layers_is_applied():
    model, x = simple_model(dropout=1.0).train(), small_input()
    assert executor_of(model) == "reference"
    expected = model.backbone.as_step_loop()
    torch.testing.assert_close(model.backbone(x)[0], expected(x)[0])


def test_without_an_executor_the_step_loop_runs(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
    assert executor_of(simple_model()) == "step loop (no executor is installed)"


@pytest.mark.usefixtures("reference")
def test_before_the_first_call_nothing_has_run():
    assert simple_model().backbone.executor == ""


@pytest.mark.usefixtures("reference")
def test_kernels_of_torch_come_first():
    assert executor_of(small_model("gru_cell")) == "unroll_layers"
    assert executor_of(small_model("gru_cell", options={"layer_norm": "output"})) == "unroll"


@pytest.mark.usefixtures("reference")
def test_step_loop_runs_if_asked():
    model = simple_model()
    model.backbone.force_step_loop = True
    assert executor_of(model) == "step loop"


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options", [{"zoneout": 0.5}, {"recurrent_dropout": 0.5}, {"recurrent_dropout": 0.3, "zoneout": 0.4}], ids=str
)
def test_options_that_change_the_steps_change_their_plan(options, training):
    model, x = simple_model(MaskableCell, options=options).train(training), small_input()
    state = map_state(torch.randn_like, model.initial_state(len(x)))
    found, expected = (seeded_results(model, x, state, force_step_loop=each) for each in (False, True))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    model.backbone.force_step_loop = False
    assert executor_of(model) == "reference"


def seeded_results(*arguments, **keywords):
    torch.manual_seed(0)
    return results(*arguments, **keywords)


@pytest.mark.usefixtures("reference")
def test_all_states_runs_the_step_loop():
    model = simple_model()
    model.backbone.all_states(small_input())
    assert model.backbone.executor == "step loop"


@pytest.mark.usefixtures("reference")
def test_one_step_runs_without_an_executor():
    model = simple_model(bidirectional=False)
    model.step(small_input()[:, 0])
    assert model.backbone.executor == "step loop (an executor takes longer for one step)"


class Halved(torch.nn.Module):
    def forward(self, weight):
        return weight / 2


def add_parametrization(cell):
    parametrize.register_parametrization(cell, "weight_hh", Halved())


def add_own_step(cell):
    cell.step = cell.step


CHANGES = {
    "hook": lambda cell: cell.register_forward_hook(lambda *_: None),
    "parametrization": add_parametrization,
    "step": add_own_step,
}


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_cell_runs_the_step_loop(change):
    model = simple_model(num_layers=1, bidirectional=False, dropout=0)
    assert executor_of(model) == "reference"
    CHANGES[change](model.backbone.cells[0])
    assert executor_of(model) == "step loop (hooks, parametrizations or attributes change the cell)"


@pytest.mark.usefixtures("reference")
def test_cells_that_run_in_different_ways_are_all_named():
    model = simple_model()
    CHANGES["hook"](model.backbone.cells[0])
    assert executor_of(model) == "step loop (hooks, parametrizations or attributes change the cell); reference"


class FunctionMode(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


class DispatchMode(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("mode", [DispatchMode, FunctionMode])
def test_modes_of_torch_see_every_operator(mode):
    model = simple_model()
    with mode():
        assert executor_of(model) == "step loop (a mode of torch sees every operator)"


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", "reference"), ("meta", "step loop (a mode of torch sees every operator)")]
)
def test_a_default_device_has_no_effect_if_it_is_that_of_the_model(device, expected):
    model, x = simple_model(), small_input()
    with torch.device(device):
        assert executor_of(model, x) == expected


@pytest.mark.usefixtures("reference")
def test_autocast_and_transforms_run_the_step_loop():
    model, x = simple_model(dtype=torch.float32), small_input(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert executor_of(model, x) == "step loop (autocast is enabled)"
    torch.func.vmap(model.backbone)(x[None])
    assert model.backbone.executor == "step loop (a transform of torch.func is active)"


@pytest.mark.usefixtures("reference")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning", "ignore::FutureWarning")
def test_tracing_by_torch_jit_records_the_steps():
    """An executor would be traced as a constant."""
    model, x = simple_model(dropout=0), small_input()
    traced = torch.jit.trace(model, x, check_trace=False)
    torch.testing.assert_close(traced(-x), model(-x))
    assert model.backbone.executor == "reference"


class Wrapped(torch.Tensor):
    pass


@pytest.mark.usefixtures("reference")
def test_unusual_tensors_run_the_step_loop():
    model, x = simple_model(), small_input()
    cell = model.backbone.cells[0]
    h = torch.zeros(4, 6, dtype=torch.float64)
    projected = torch.zeros(5, 4, 6, dtype=torch.float64)
    refused = {
        "a tensor is of the class Wrapped": (projected.as_subclass(Wrapped), h),
        "the input and the state mix torch.float64 on cpu and torch.float32 on cpu": (projected, h.float()),
        "a tensor has the layout torch.sparse_coo": (projected, h.to_sparse()),
    }
    assert not isinstance(choose(installed_executors(), cell, projected, (h,)), Refusal)
    for reason, (inputs, state) in refused.items():
        assert choose(installed_executors(), cell, inputs, (state,)) == Refusal(reason)
    assert executor_of(model, x) == "reference"


def test_the_first_executor_that_does_not_refuse_runs(monkeypatch):
    with register_executor(Reference), register_executor(OnlyFloat32):
        monkeypatch.setenv("RNNKIT_EXECUTORS", "only_float32, reference")
        assert executor_of(simple_model()) == "reference"
        narrow = simple_model(dtype=torch.float32), small_input(dtype=torch.float32)
        assert executor_of(*narrow) == "only_float32"
        monkeypatch.setenv("RNNKIT_EXECUTORS", "only_float32")
        assert executor_of(simple_model()) == "step loop (only_float32: it runs no torch.float64)"


def test_unknown_name_in_the_environment_is_an_error(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "fastest")
    with register_executor(Reference), pytest.raises(PluginError, match=r"RNNKIT_EXECUTORS='fastest' .*'local/ref"):
        executor_of(simple_model())


def test_an_executor_is_a_subclass_of_executor(monkeypatch):
    class Other:
        name = "other"

    monkeypatch.setenv("RNNKIT_EXECUTORS", "other")
    with register_executor(Other), pytest.raises(PluginError, match=r"must be a subclass of rnnkit\.plan\.Executor"):
        executor_of(simple_model())


def install(plugins, source=PLUGIN):
    plugins.install("installed", source=source, distribution="rnnkit-fast", group="rnnkit.executors")


def test_executor_of_a_plugin_is_found(plugins, monkeypatch):
    install(plugins)
    monkeypatch.setenv("RNNKIT_EXECUTORS", "rnnkit-fast/installed")
    with use_catalog(Catalog()):
        assert "rnnkit-fast/installed" in list_executors()
        assert executor_of(simple_model()) == "installed"


def test_broken_plugin_gives_a_warning_and_the_step_loop_runs(plugins, monkeypatch):
    monkeypatch.delenv("RNNKIT_EXECUTORS", raising=False)
    install(plugins, "raise OSError('no library')")
    with use_catalog(Catalog(block=["rnnkit-kernels"])):
        model = simple_model()
        with pytest.warns(RuntimeWarning, match=re.escape("OSError: no library")):
            assert executor_of(model) == "step loop (no executor is installed)"
        assert executor_of(model) == "step loop (no executor is installed)", "the warning comes once"


@pytest.mark.parametrize(
    ("part", "replaced", "problem"),
    [
        (
            "class Installed(Executor):",
            "class Installed(Executor):\n    def __init__(self): 1 / 0",
            "ZeroDivisionError",
        ),
        ("def unroll(", "def unrolled(", "abstract method '?unroll'?"),
    ],
    ids=["raises", "abstract"],
)
def test_executor_that_cannot_be_created_gives_a_warning(plugins, monkeypatch, part, replaced, problem):
    assert part in PLUGIN
    install(plugins, PLUGIN.replace(part, replaced))
    message = rf"executor '\S*installed' cannot be created: .*{problem}"
    with use_catalog(Catalog(block=["rnnkit-kernels"])):
        monkeypatch.delenv("RNNKIT_EXECUTORS", raising=False)
        with pytest.warns(RuntimeWarning, match=message):
            assert executor_of(simple_model()) == "step loop (no executor is installed)"
        monkeypatch.setenv("RNNKIT_EXECUTORS", "installed")
        with pytest.raises(PluginError, match=rf"RNNKIT_EXECUTORS='installed' cannot be used: .*{message}"):
            executor_of(simple_model())


def test_blocked_plugin_is_not_imported(plugins):
    install(plugins)
    with use_catalog(Catalog(block=["rnnkit-fast", "rnnkit-kernels"])):
        assert executor_of(simple_model()) == "step loop (no executor is installed)"
    assert not plugins.imported()


@pytest.mark.usefixtures("reference")
def test_copies_run_as_the_original():
    model = simple_model()
    assert executor_of(model) == "reference"
    assert executor_of(copy.deepcopy(model)) == "reference"
