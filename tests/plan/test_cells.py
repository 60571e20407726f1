"""The plans of cells equal their steps, and cells without a plan are refused with the reason."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell, CellState, get_kind
from rnnkit.plan import unroll
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_builtin.lstm_cell import LSTMCell
from rnnkit_builtin.rnn_cell import RNNCell
from tests.helpers.cells import SimpleCell
from tests.helpers.models import small_model
from tests.helpers.plans import (
    StepCell,
    assert_plan_equals_steps,
    each_sequence_alone,
    plan_of,
    randomize,
)
from tests.helpers.torchrecurrent_cells import NAMES, CellOfTorchrecurrent, TwoPartState

ROOT = Path(__file__).parents[2]


class ProjectedLSTMCell(Cell):
    """An LSTM with a projection: the output has fewer features than the cell state."""

    State = TwoPartState

    def __init__(self, input_size, hidden_size, proj_size):
        super().__init__(input_size, hidden_size, dtype=torch.float64)
        self.output_size = proj_size
        self.weight_ih = self.new_parameter(4 * hidden_size, input_size)
        self.weight_hh = self.new_parameter(4 * hidden_size, proj_size)
        self.weight_hr = self.new_parameter(proj_size, hidden_size)

    def state_shapes(self, batch_size):
        return TwoPartState(torch.Size((batch_size, self.output_size)), torch.Size((batch_size, self.hidden_size)))

    def project(self, x):
        return F.linear(x, self.weight_ih)

    def step(self, projected_t, state):
        i, f, g, o = (projected_t + F.linear(state.first, self.weight_hh)).chunk(4, -1)
        c = torch.sigmoid(f) * state.second + torch.sigmoid(i) * torch.tanh(g)
        h = F.linear(torch.sigmoid(o) * torch.tanh(c), self.weight_hr)
        return h, TwoPartState(h, c)


class HeadsState(NamedTuple):
    heads: Tensor
    """`(batch, heads, features)`."""


class HeadsCell(Cell):
    """A cell with a state of three axes, which is reshaped and whose heads are swapped."""

    State = HeadsState

    def __init__(self):
        super().__init__(3, 8, dtype=torch.float64)
        self.weight = self.new_parameter(8, 8)
        self.decay = self.new_parameter(2, 4)

    def state_shapes(self, batch_size):
        return HeadsState(torch.Size((batch_size, 2, 4)))

    def project(self, x):
        return F.linear(x, torch.ones(8, 3, dtype=x.dtype)).unflatten(-1, (2, 4))

    def step(self, projected_t, state):
        mixed = F.linear(state.heads.flatten(1), self.weight).view(-1, 2, 4)
        first, second = (torch.tanh(mixed) + torch.sigmoid(projected_t)).unbind(1)
        heads = torch.stack([second, first * second], 1) * torch.sigmoid(self.decay.unsqueeze(0)) + state.heads
        return heads.reshape(-1, 8), HeadsState(heads)


class ConcatenatingCell(Cell):
    """A GRU without `project` that concatenates input and state, as many are written; their sizes have no divisor."""

    def __init__(self):
        super().__init__(3, 7, dtype=torch.float64)
        self.gates = nn.Linear(10, 14, dtype=torch.float64)
        self.candidate = nn.Linear(10, 7, dtype=torch.float64)

    def step(self, projected_t, state):
        r, z = torch.sigmoid(self.gates(torch.cat([projected_t, state.h], -1))).chunk(2, -1)
        n = torch.tanh(self.candidate(torch.cat([projected_t, r * state.h], -1)))
        h = torch.lerp(n, state.h, z)
        return h, CellState(h)


class ModuleCell(Cell):
    """A cell of `torch.nn` as a step."""

    def __init__(self, module):
        super().__init__(3, 7)
        self.inner = module(3, 7, dtype=torch.float64)

    def state_shapes(self, batch_size):
        shape = torch.Size((batch_size, 7))
        return TwoPartState(shape, shape) if isinstance(self.inner, nn.LSTMCell) else CellState(shape)

    def step(self, projected_t, state):
        if len(state) == 1:
            h = self.inner(projected_t, state.h)
            return h, CellState(h)
        new = TwoPartState(*self.inner(projected_t, tuple(state)))
        return new.first, new


class SelectingCell(HeadsCell):
    """A cell that selects and slices heads, and whose constants are computed with each other."""

    def step(self, projected_t, state):
        first, others = state.heads[:, 0], state.heads[:, 1:]
        constant = (torch.zeros(len(first), 4, dtype=first.dtype) + 2) * torch.ones_like(first)
        mixed = F.linear(torch.cat([first * constant, others.squeeze(1)], -1), self.weight)
        gates = torch.sigmoid(mixed + projected_t.flatten(1)).narrow(-1, 4, 4)
        heads = torch.stack([constant * gates - first, constant], 1)
        return mixed, HeadsState(heads)


def nbrc_cell(**options):
    spec = importlib.util.spec_from_file_location("nbrc_example", ROOT / "docs/examples/rnnkit-nbrc/rnnkit_nbrc.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.NBRCCell(3, 6, dtype=torch.float64, **options)


CELLS = {
    "rnn_cell": lambda: RNNCell(3, 6, dtype=torch.float64),
    "rnn_cell_relu": lambda: RNNCell(3, 6, nonlinearity="relu", dtype=torch.float64),
    "rnn_cell_without_bias": lambda: RNNCell(3, 6, bias=False, dtype=torch.float64),
    "gru_cell": lambda: GRUCell(3, 6, dtype=torch.float64),
    "gru_cell_without_bias": lambda: GRUCell(3, 6, bias=False, dtype=torch.float64),
    "gru_cell_of_one_feature": lambda: GRUCell(1, 1, dtype=torch.float64),
    "lstm_cell": lambda: LSTMCell(3, 6, dtype=torch.float64),
    "lstm_cell_without_bias": lambda: LSTMCell(3, 6, bias=False, dtype=torch.float64),
    "lstm_with_projection": lambda: ProjectedLSTMCell(3, 6, 4),
    "simple": lambda: SimpleCell(3, 6, dtype=torch.float64),
    "concatenation": ConcatenatingCell,
    "nn.RNNCell": lambda: ModuleCell(nn.RNNCell),
    "nn.GRUCell": lambda: ModuleCell(nn.GRUCell),
    "nn.LSTMCell": lambda: ModuleCell(nn.LSTMCell),
    "nbrc": nbrc_cell,
    "nbrc_without_bias": lambda: nbrc_cell(bias=False),
}


@pytest.mark.parametrize("name", CELLS)
def test_plans_equal_steps(name):
    assert_plan_equals_steps(randomize(CELLS[name]()))


@pytest.mark.parametrize("name", ["gru_cell", "lstm_cell"])
def test_plans_equal_steps_without_lengths(name):
    assert_plan_equals_steps(randomize(CELLS[name]()), lengths=None)


@pytest.mark.parametrize("name", NAMES)
def test_all_cells_of_torchrecurrent_have_plans(name):
    assert_plan_equals_steps(randomize(CellOfTorchrecurrent(name)))


@pytest.mark.parametrize("name", ["gru_cell", "lstm_cell", "nbrc"])
def test_plans_run_in_single_precision(name):
    cell = randomize(CELLS[name]())
    plan = plan_of(cell.float())
    x = torch.randn(3, 2, 3)
    state = type(cell.state_shapes(2))(*[torch.randn(shape) for shape in cell.state_shapes(2)])
    output, final = unroll(plan, cell, cell.project(x), state)
    expected, final_of_steps = each_sequence_alone(cell, x, state, None)
    assert output.dtype == torch.float32
    torch.testing.assert_close((output, *final), (expected, *final_of_steps), rtol=1e-5, atol=1e-6)


def test_there_are_many_cells_of_torchrecurrent():
    assert len(NAMES) >= 41


def test_every_kind_of_cells_has_plans(kind):
    """The cells of a built model, which has more attributes than a cell alone."""
    if get_kind(kind).cell is not None:
        for cell in small_model(kind).backbone.cells:
            assert_plan_equals_steps(randomize(cell))


def test_products_of_the_input_are_computed_for_all_steps_at_once():
    plan = plan_of(ConcatenatingCell())
    assert [call.name for call in plan.projection.calls if call.name == "mm"] == ["mm", "mm"]
    assert plan.products == ((7, 14), (7, 7))
    assert plan.width == 7


@pytest.mark.parametrize("cell", [HeadsCell, SelectingCell])
def test_values_with_several_axes(cell):
    assert_plan_equals_steps(randomize(cell()))


SINGLE_FEATURES = {
    "constant_mask": lambda p, h, w, v: torch.tanh(p + torch.where(torch.arange(4) > 1, h, p)),
    "matrix_of_parameters": lambda p, h, w, v: torch.tanh(p + (h.unsqueeze(1) * w).flatten(1)[:, :4]),
    "parameter_of_one_feature_per_head": lambda p, h, w, v: (h.view(-1, 2, 2) * w[:2, :1]).flatten(1) + p,
    "gate_of_the_state": lambda p, h, w, v: h + torch.sigmoid(h @ w[:1].t()) * p,
    "gate_of_input_and_state": lambda p, h, w, v: h + torch.sigmoid(p @ w[:, :1] + F.linear(h, w[:1], v[:1])) * p,
    "gate_of_the_input": lambda p, h, w, v: torch.lerp(h, p, torch.sigmoid(p @ w[:, :1])),
    "mask_of_the_input": lambda p, h, w, v: torch.where(p > 0, h, p) + torch.where(p[:, :1] > 0, v, h),
    "concatenated_feature": lambda p, h, w, v: p + torch.cat([h.mean(-1, keepdim=True), h[:, 1:]], -1),
    "every_second_feature": lambda p, h, w, v: torch.tanh(p + torch.cat([h[:, ::2], h[:, 1::2]], -1)),
    "swapped_axes": lambda p, h, w, v: p + h.view(-1, 2, 1, 2).permute(0, 2, 1, 3).tanh().flatten(1),
    "repeated_vector": lambda p, h, w, v: p + h * v.repeat(len(h), 1) + v[:2].repeat(len(h), 2),
    "vector_among_features": lambda p, h, w, v: p * torch.cat([v[:2].expand(len(h), -1), h[:, :2]], -1),
    "feature_of_a_value": lambda p, h, w, v: torch.tanh(p + h * h[:, :1]),
}


WIDTHS = dict.fromkeys(["parameter_of_one_feature_per_head", "swapped_axes", "vector_among_features"], 2)
WIDTHS |= dict.fromkeys(["concatenated_feature", "every_second_feature", "feature_of_a_value"], 1)
WIDTHS |= {"repeated_vector": 2}


@pytest.mark.parametrize("name", SINGLE_FEATURES)
def test_single_features_and_masks(name):
    """A single feature is a piece of its own unless it is a part of a value."""
    cell = StepCell(SINGLE_FEATURES[name])
    assert plan_of(cell).width == WIDTHS.get(name, 4)
    assert_plan_equals_steps(randomize(cell))


@pytest.mark.parametrize("half", [3, 5, 23, 29])
def test_the_size_of_a_part_may_be_any_prime(half):
    """The batch size of a recording must not be the size of a part of a value."""
    cell = StepCell(lambda p, h, w, v: p + torch.cat(h.chunk(2, -1)[::-1], -1), 2 * half, 2 * half)
    assert_plan_equals_steps(randomize(cell))


def test_a_gate_of_many_features():
    """One piece: as a weight of one column it would be a product with pieces of one feature."""
    cell = randomize(StepCell(SINGLE_FEATURES["gate_of_the_state"], 100, 100))
    assert plan_of(cell).products == ()
    assert_plan_equals_steps(cell)


@pytest.mark.parametrize("cell", [RNNCell, GRUCell, LSTMCell])
def test_cells_with_layer_normalization(cell):
    plan = plan_of(cell(3, 6, layer_norm=True, dtype=torch.float64))
    assert plan.width == 6
    assert_plan_equals_steps(randomize(cell(3, 6, layer_norm=True, dtype=torch.float64)))


def test_gru_keeps_four_values_of_each_feature_for_the_gradient():
    plan = plan_of(GRUCell(3, 5))
    products = [plan.products[number][1] for number in plan.kept_products]
    assert plan.kept * plan.width + sum(products) == 4 * 5  # the gates r, z and n, and the product of h that r gates
