"""Random steps, drawn from the operators that plans know, run alike by the library and the reference executor."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from rnnkit.plan import unroll
from tests.helpers.kernels import INSTRUCTION_SETS, run_on
from tests.helpers.plans import assert_close, gradients, randomize, unverified_plan
from tests.helpers.torchrecurrent_cells import TwoPartState
from tests.plan.test_random_steps import RandomCell, operator_lists, quickly


@settings(quickly, max_examples=40)
@given(operator_lists, st.integers(1, 9))
def test_random_steps_equal_the_reference_executor(operators, batch):
    torch.manual_seed(0)
    cell = randomize(RandomCell(operators))
    plan = unverified_plan(cell)
    x = torch.randn(4, batch, 4, dtype=torch.float64, requires_grad=True)
    state = TwoPartState(*[torch.randn(batch, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)])
    lengths = torch.randint(0, 5, (batch,))
    inputs = {"x": x, **state._asdict(), **dict(cell.named_parameters())}
    expected = unroll(plan, cell, x, state, lengths)
    expected_gradients = gradients(*expected, inputs)
    for instruction_set in INSTRUCTION_SETS:
        found = run_on(instruction_set)(plan, cell, x, state, lengths)
        named = {"output": found[0], **found[1]._asdict()}
        assert_close(named, {"output": expected[0], **expected[1]._asdict()}, 1e-10)
        assert_close(gradients(*found, inputs), expected_gradients, 1e-10)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@settings(quickly, max_examples=6)
@given(operator_lists)
def test_gradients_of_random_steps_are_numerical_gradients(instruction_set, operators):
    torch.manual_seed(0)
    cell = randomize(RandomCell(operators))
    plan = unverified_plan(cell)
    x = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)
    state = [torch.randn(2, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]

    def results(x, *state):
        output, final = run_on(instruction_set)(plan, cell, x, TwoPartState(*state), torch.tensor([2, 1]))
        return output, *final

    gradcheck(results, (x, *state), fast_mode=True)
