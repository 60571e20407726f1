"""The checks of compiled and exported models. Each fault fails one, and healthy cells pass."""

import logging
import subprocess
import sys
import warnings
from importlib.util import find_spec

import pytest
import torch
from torch.nn import functional as F

from rnnkit import Backbone, CellState, InitOptions, register_kind
from rnnkit.testing import check_kind
from rnnkit_builtin.gru import GRUBackbone
from tests.helpers.cells import SimpleCell
from tests.helpers.healthy import (
    BandCell,
    BandOptions,
    CoRNNCell,
    EchoStateCell,
    GridCell,
    GridOptions,
    LinearAttentionCell,
    Reservoir,
)
from tests.helpers.planted import Faults, assert_fails, assert_passes, record_of, report_of, result_of

pytestmark = pytest.mark.filterwarnings("ignore")

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
LAYOUT = "a state of the shapes and dtypes of the given one"


# Values of tensors


@faults.planted(COMPILES, VALUE)
@faults.planted(STREAMS, f"test_checks_export.py, line 62, in ReadsItem.activation): a step must not read values: {VALUE}")
class ReadsItem(SimpleCell):
    def activation(self, x):
        return torch.tanh(x * min(1.0, x.detach().abs().max().item()))


@faults.planted(COMPILES, f"test_checks_export.py, line 72, in activation): a step must not read values: {VALUE}")
@faults.planted(EXPORTS, f"test_checks_export.py, line 72, in activation): a step must not read values: {VALUE}")
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


@faults.planted(STREAMS, f"{SIZE} and int(x.shape[0]), and no loop over steps or sequences; len(projected_t) in FixesTheBatch.step")
class FixesTheBatch(SimpleCell):
    def step(self, projected_t, state):
        output, state = super().step(projected_t, state)
        return output + torch.zeros(len(projected_t), 1).to(output), state


@faults.planted(EXPORTS, f"{SIZE} and int(x.shape[0]), and no loop over steps or sequences; len(x) in FixesTheTime.project")
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

    dtype = torch.float32

    def step(self, projected_t, state):
        output, _ = super().step(projected_t, CellState(state.h.to(projected_t.dtype)))
        return output, CellState(output.to(self.dtype))


@faults.planted(COMPILES, LAYOUT)
@faults.planted(EXPORTS, LAYOUT)
class NarrowsTheState(Casts):
    pass


@faults.planted(ONNX, LAYOUT)
@faults.planted(STREAMS, "")
class WidensTheState(Casts):
    dtype = torch.float64


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


@pytest.mark.parametrize(("check", "words", "record"), faults.parameters)
def test_a_fault_fails_its_check(check, words, record):
    assert_fails(check, words, record)
