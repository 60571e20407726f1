"""The checks of executors, with an executor of plans that has a planted fault."""

import pytest
import torch
from torch import nn

from rnnkit import Cell, CellState, cell_kind, register_executor
from rnnkit.plan import unroll
from tests.helpers.cells import SimpleCell
from tests.helpers.executors import Reference
from tests.helpers.planted import result_of

CHECKS = ["executors_equal_step_loop", "executors_at_many_sizes"]
KIND = cell_kind(SimpleCell, name="simple", summary="Made for tests.")


class Right(Reference):
    name = "planned"


class IgnoresLengths(Right):
    def unroll(self, plan, cell, projected, state, lengths=None):
        return unroll(plan, cell, projected, state)


class LosesTheGradientOfTheState(Right):
    def unroll(self, plan, cell, projected, state, lengths=None):
        detached = type(state)(*[part.detach() for part in state])
        return unroll(plan, cell, projected, detached, lengths)


class IsWrongFromTheSixtyFifthStep(Right):
    def unroll(self, plan, cell, projected, state, lengths=None):
        output, final = super().unroll(plan, cell, projected, state, lengths)
        return torch.cat([output[:64], 1.001 * output[64:]]), final


def result(executor, check, monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "planned")
    with register_executor(executor):
        return result_of(KIND, check)


def test_a_correct_executor_passes_and_the_report_names_it(monkeypatch):
    found = result(Right, CHECKS[0], monkeypatch)
    assert found.outcome == "passed"
    assert found.figures["executor"].startswith("planned in ")


def test_a_correct_executor_passes_at_many_sizes(monkeypatch):
    assert result(Right, CHECKS[1], monkeypatch).outcome == "passed"


class RoundsDifferently(Right):
    def unroll(self, plan, cell, projected, state, lengths=None):
        return super().unroll(plan, cell, projected * (1 + 2**-52), state, lengths)

    def unroll_layers(self, plans, cells, projected, states, lengths=None):
        return super().unroll_layers(plans, cells, projected * (1 + 2**-52), states, lengths)


class ChaoticCell(Cell):
    """A quadratic map, in which rounding errors grow."""

    State = CellState

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.inner = nn.Linear(input_size, hidden_size, device=device, dtype=dtype)

    def project(self, x):
        return 0.01 * torch.tanh(self.inner(x))

    def step(self, projected_t, state):
        h = 1 - 1.5 * state.h * state.h + projected_t
        return h, CellState(h)


@pytest.mark.parametrize(("cell", "fewest", "most"), [(SimpleCell, 1025, 1025), (ChaoticCell, 9, 257)])
def test_rounding_errors_do_not_fail(cell, fewest, most, monkeypatch):
    """Those of a chaotic kind are as large as its results after some steps; a figure says how many are compared."""
    monkeypatch.setenv("RNNKIT_EXECUTORS", "planned")
    with register_executor(RoundsDifferently):
        found = result_of(cell_kind(cell, name="rounded", summary="Made for tests."), "executors_at_many_sizes")
    assert found.outcome == "passed", found.reason
    assert fewest <= found.figures["steps"] <= most


class SwapsTheStatesOfLayers(Right):
    def unroll_layers(self, plans, cells, projected, states, lengths=None):
        output, final = super().unroll_layers(plans, cells, projected, states, lengths)
        return output, final[::-1]


class LosesTheGradientBetweenLayers(Right):
    def unroll_layers(self, plans, cells, projected, states, lengths=None):
        if len(cells) == 1:
            return super().unroll_layers(plans, cells, projected, states, lengths)
        between, first = super().unroll_layers(plans[:-1], cells[:-1], projected, states[:-1], lengths)
        output, last = super().unroll_layers(plans[-1:], cells[-1:], between.detach(), states[-1:], lengths)
        return output, first + last


class RunsTheLowestLayerTwice(Right):
    def unroll_layers(self, plans, cells, projected, states, lengths=None):
        return super().unroll_layers(plans, [cells[0], *cells[:-1]], projected, states, lengths)


@pytest.mark.parametrize(
    "executor",
    [
        IgnoresLengths,
        LosesTheGradientOfTheState,
        SwapsTheStatesOfLayers,
        LosesTheGradientBetweenLayers,
        RunsTheLowestLayerTwice,
    ],
)
def test_a_wrong_executor_fails(executor, monkeypatch):
    assert result(executor, CHECKS[0], monkeypatch).outcome == "failed"


def test_a_mistake_at_many_steps_is_found(monkeypatch):
    assert result(IsWrongFromTheSixtyFifthStep, CHECKS[1], monkeypatch).outcome == "failed"


@pytest.mark.parametrize("check", CHECKS)
def test_without_an_executor_the_checks_are_not_applicable(check):
    found = result_of(KIND, check)
    assert found.outcome == "not applicable"
    assert "no executor is installed" in found.reason
