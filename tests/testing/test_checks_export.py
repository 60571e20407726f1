"""The checks of compiled and exported models. Each fault fails one, and healthy cells pass."""

import logging
import warnings
from typing import Literal

import pytest
import torch

from rnnkit import Backbone, CellState, StackOptions
from rnnkit.testing._tracing import sizes_of
from rnnkit.testing.checks import export
from tests.helpers.cells import SimpleCell
from tests.helpers.healthy import CoRNNCell, Counts, GridCell, GridOptions, Reservoir, grid_problems
from tests.helpers.models import small_model
from tests.helpers.planted import Faults, assert_fails, assert_passes, record_of, report_of, result_of

faults = Faults()
COMPILES = "compiles_in_one_graph"
EXPORTS = "exports_with_free_sizes"
ONNX = "onnx_file_equals_model"
STREAMS = "onnx_steps_equal_forward"
ALL = (COMPILES, EXPORTS, ONNX, STREAMS)
VALUE = "use torch.where for `if`, tensors for .item()"
SIZE = "write x.shape[0] in place of len(x)"
STORED = "return them in the state"
IN_PLACE = "compute a new one"
DTYPE = "state[0].h must be torch.float{} as the input is"


# Values of tensors


@faults.planted(COMPILES, VALUE)
@faults.planted(STREAMS, f"in ReadsItem.activation): a step must not read values: {VALUE}")
class ReadsItem(SimpleCell):
    def activation(self, x):
        return torch.tanh(x * min(1.0, x.detach().abs().max().item()))


@faults.planted(COMPILES, f"in activation): a step must not read values: {VALUE}")
@faults.planted(EXPORTS, f"in activation): a step must not read values: {VALUE}")
@faults.planted(ONNX, VALUE)
@faults.planted(STREAMS, VALUE)
class BranchesOnATensor(SimpleCell):
    def activation(self, x):
        if x.abs().max() > 3:
            x = x / 2
        return torch.tanh(x)


@faults.planted(STREAMS, VALUE)
class ReadsNumPy(SimpleCell):
    def activation(self, x):
        return torch.tanh(x + float(x.detach().numpy().mean()))


# Sizes


@faults.planted(STREAMS, SIZE)
@faults.planted(STREAMS, "len(projected_t) in FixesTheBatch.step")
class FixesTheBatch(SimpleCell):
    def step(self, projected_t, state):
        output, state = super().step(projected_t, state)
        return output + torch.zeros(len(projected_t), 1).to(output), state


@faults.planted(EXPORTS, SIZE)
@faults.planted(EXPORTS, "len(x) in FixesTheTime.project")
@faults.planted(ONNX, SIZE)
class FixesTheTime(SimpleCell):
    def project(self, x):
        return super().project(x) + torch.zeros(len(x), 1, 1).to(x)


@faults.planted(COMPILES, f"torch.compile made 2 graphs for two sizes, not one: a size is fixed: {SIZE}")
@faults.planted(EXPORTS, SIZE)
class LoopsOverTheSteps(SimpleCell):
    def project(self, x):
        return torch.stack([super(LoopsOverTheSteps, self).project(x_t) for x_t in x])


# Attributes


@faults.planted(COMPILES, STORED)
@faults.planted(EXPORTS, STORED)
@faults.planted(ONNX, STORED)
class KeepsATensor(SimpleCell):
    """A part of the state in an attribute."""

    last = None

    def activation(self, x):
        if self.last is not None and self.last.shape == x.shape:
            x = x + 0.1 * self.last
        self.last = torch.tanh(x)
        return self.last


@faults.planted(COMPILES, STORED)
class KeepsAResult(SimpleCell):
    """For a look at it afterwards."""

    def activation(self, x):
        self.last = torch.tanh(x)
        return self.last


# Dtypes


class Casts(SimpleCell):
    """Returns the state in another dtype, which the next step accepts."""

    state_dtype = torch.float32

    def step(self, projected_t, state):
        output, _ = super().step(projected_t, CellState(state.h.to(projected_t.dtype)))
        return output, CellState(output.to(self.state_dtype))


@faults.planted(COMPILES, DTYPE.format(64))
@faults.planted(EXPORTS, DTYPE.format(64))
class NarrowsTheState(Casts):
    pass


@faults.planted(ONNX, DTYPE.format(32))
@faults.planted(STREAMS, DTYPE.format(32))
class WidensTheState(Casts):
    state_dtype = torch.float64


# In place


@faults.planted(COMPILES, IN_PLACE)
@faults.planted(EXPORTS, IN_PLACE)
@faults.planted(ONNX, IN_PLACE)
@faults.planted(STREAMS, "differs from the model")
class ChangesTheState(SimpleCell):
    def step(self, projected_t, state):
        output, _ = super().step(projected_t, state)
        return output, CellState(state.h.copy_(output))


@faults.planted(EXPORTS, IN_PLACE)
@faults.planted(ONNX, IN_PLACE)
class ChangesItsInput(SimpleCell):
    def step(self, projected_t, state):
        return super().step(projected_t.add_(0.1), state)


# Options: each fault is in what an option other than the default computes


class FaultyOptions(StackOptions):
    faulty: bool = False


class HasAnOption(SimpleCell):
    def __init__(self, *sizes, faulty=False, **others):
        super().__init__(*sizes, **others)
        self.faulty = faulty


@faults.planted(COMPILES, VALUE, options=FaultyOptions)
class ReadsItemByOption(HasAnOption):
    def activation(self, x):
        return torch.tanh(x * min(1.0, x.detach().abs().max().item()) if self.faulty else x)


@faults.planted(EXPORTS, STORED, options=FaultyOptions)
class KeepsATensorByOption(HasAnOption):
    """It calls the same operators with and without the option."""

    def activation(self, x):
        x = torch.tanh(x)
        if self.faulty:
            self.last = x
        return x


@faults.planted(STREAMS, "differs from the model", options=FaultyOptions)
class ChangesTheStateByOption(HasAnOption):
    def step(self, projected_t, state):
        output, new = super().step(projected_t, state)
        return output, CellState(state.h.copy_(output)) if self.faulty else new


@pytest.mark.parametrize(("check", "words", "record"), faults.parameters)
def test_a_fault_fails_its_check(check, words, record):
    assert_fails(check, words, record)


# Faults that other checks find, or that have no effect: torch and rnnkit trace these steps right


class ReturnsItsInput(SimpleCell):
    """The state is a view of the input, and the output of the state."""

    def step(self, projected_t, state):
        return state.h, CellState(projected_t)


class ReturnsTheSameState(SimpleCell):
    """It also overwrites a tensor of its own."""

    def step(self, projected_t, state):
        return (state.h + projected_t).tanh_().clone(), state


class IsNoisyInTraining(SimpleCell):
    def activation(self, x):
        return torch.tanh(x + torch.randn_like(x) if self.training else x)


@pytest.mark.parametrize("cell", [ReturnsItsInput, ReturnsTheSameState])
def test_a_step_that_is_traced_right_passes(cell):
    assert_passes(record_of(cell), ALL, not_applicable=set())


@pytest.mark.parametrize("cell", [ReadsItem, ReadsNumPy, FixesTheBatch])
def test_whole_sequences_of_some_faults_are_exported_right(cell):
    assert_passes(record_of(cell), [EXPORTS], not_applicable=set())


@pytest.mark.parametrize("cell", [Counts, IsNoisyInTraining])
def test_a_kind_that_changes_in_training_is_compiled_in_evaluation_mode(cell):
    result = result_of(record_of(cell), COMPILES)
    assert (result.outcome, result.figures["mode"]) == ("passed", "evaluation"), result.reason


# Correct cells


@pytest.mark.parametrize("cell", [CoRNNCell, Reservoir])
def test_healthy_cells_pass(cell):
    assert_passes(record_of(cell), ALL, not_applicable=set())


def test_a_cell_with_a_state_of_another_shape_passes():
    record = record_of(GridCell, options=GridOptions, check=grid_problems)
    report = report_of(record, *ALL, spec={"hidden_size": 6, "options": {"height": 2, "width": 3}})
    report.require()
    assert len(report.passed) == len(ALL)


@pytest.mark.parametrize("size", [5, 7, 8])
def test_sizes_of_the_input_differ_from_those_of_the_model(size):
    model = small_model("rnn", input_size=size, hidden_size=size)
    assert size not in {number for pair in sizes_of(model) for number in pair}


def test_a_model_whose_sizes_are_equal_is_compiled():
    report_of(record_of(SimpleCell), COMPILES, spec={"input_size": 5, "hidden_size": 5}).require()


# Options


class ActivationOptions(StackOptions):
    activation_name: Literal["tanh", "relu", "sigmoid", "sin", "cos", "atan"] = "tanh"
    slope: float = 1.0
    clip: bool = False


class HasActivations(SimpleCell):
    def __init__(self, *sizes, activation_name="tanh", slope=1.0, clip=False, **others):
        super().__init__(*sizes, **others)
        self.activation_name, self.slope, self.clip = activation_name, slope, clip

    def activation(self, x):
        y = getattr(torch, self.activation_name)(self.slope * x)
        return y.clamp(-1, 1) if self.clip else y


def test_only_options_that_change_the_computation_are_traced():
    found = result_of(record_of(HasActivations, options=ActivationOptions), EXPORTS).figures
    first = "bias=False, options.activation_name='relu', options.clip=True"
    assert found["traced"] == f"{first}; options.activation_name='sigmoid'; options.activation_name='sin'"
    assert found["not traced"] == "options.activation_name='cos'; options.activation_name='atan'"
    assert found["cases"] == 4


class DepthOptions(StackOptions):
    depth: Literal[2, 3, 4] = 2


class HasADepth(SimpleCell):
    def __init__(self, *sizes, depth=2, **others):
        super().__init__(*sizes, **others)
        self.depth = depth

    def activation(self, x):
        for _ in range(self.depth):
            x = torch.tanh(x)
        return x


def test_options_that_repeat_the_same_operators_are_not_traced():
    found = result_of(record_of(HasADepth, options=DepthOptions), EXPORTS).figures
    assert (found["traced"], found["cases"]) == ("bias=False", 2)
    assert "not traced" not in found


# Backbones of their own


class Loop(Backbone):
    """A backbone with a loop of its own, which torch unrolls."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)
        self.cell = torch.nn.RNNCell(spec.input_size, spec.hidden_size, spec.bias, device=device, dtype=dtype)

    def state_shapes(self, batch_size):
        return torch.Size((batch_size, self.features))

    def run(self, x, state, lengths):
        axis = 1 if self.batch_first else 0
        outputs = []
        for x_t in x.unbind(axis):
            state = self.cell(x_t, state)
            outputs.append(state)
        return torch.stack(outputs, axis), state


def test_a_backbone_that_loops_fails_where_the_number_of_steps_is_fixed():
    report = report_of(record_of(Loop), *ALL)
    outcomes = {each.check.name: each.outcome for each in report.results}
    assert outcomes == {COMPILES: "failed", EXPORTS: "failed", ONNX: "failed", STREAMS: "passed"}
    assert SIZE in report[EXPORTS].reason


# The environment


def test_without_the_extra_the_checks_of_onnx_do_not_apply(monkeypatch):
    monkeypatch.setattr(export, "missing_packages", lambda *names: [name for name in names if name != "onnx"])
    for result in report_of(record_of(SimpleCell), ONNX, STREAMS).results:
        assert result.outcome == "not applicable"
        assert result.reason == 'onnxscript, onnxruntime are not installed: run `pip install "rnnkit[onnx]"`'


def test_the_report_has_figures_and_torch_is_as_before_and_writes_nothing(capfd):
    levels = {name: logging.getLogger(name).level for name in ("torch", "torch.onnx", "torch._dynamo")}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report_of(record_of(BranchesOnATensor), *ALL)
        report = report_of(record_of(SimpleCell), *ALL)
    assert (report[COMPILES].figures["mode"], report[ONNX].figures["operators"]) == ("training", "Scan")
    assert (capfd.readouterr(), [str(each.message) for each in caught]) == (("", ""), [])
    assert levels == {name: logging.getLogger(name).level for name in levels}
    assert torch.is_grad_enabled()
