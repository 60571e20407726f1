"""Denormal numbers: flushed to zero where that changes a result by less than they are, and kept everywhere else."""

import platform

import pytest
import torch

from rnnkit import CellState
from tests.helpers.kernels import INSTRUCTION_SETS, run_on
from tests.helpers.plans import StepCell, unverified_plan

TINY = torch.finfo(torch.float32).tiny
WEIGHT = torch.eye(4) / 2

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86-64 alone flushes them")


def decays(x, h, weight, vector):
    return x + h @ weight + 0 * vector


def decays_and_divides(x, h, weight, vector):
    return x + (h @ weight) / (1 + 0 * h) + 0 * vector


def decays_and_compares(x, h, weight, vector):
    return x + torch.where(h > 0, h @ weight, h) + 0 * vector


def impulse(function):
    """Return a cell whose state halves at each step, and an input of one impulse, then silence."""
    cell = StepCell(function, dtype=torch.float32)
    with torch.no_grad():
        cell.weight.copy_(WEIGHT)
        cell.vector.zero_()
    x = torch.zeros(140, 3, 4)
    x[0] = 1
    return cell, x.requires_grad_()


def unrolled(function, instruction_set):
    cell, x = impulse(function)
    plan = unverified_plan(StepCell(function))
    state = CellState(torch.zeros(3, 4))
    return cell, x, run_on(instruction_set)(plan, cell, x, state, None)[0]


def has_denormals(tensor):
    return ((tensor != 0) & (tensor.abs() < TINY)).any()


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_outputs_and_gradients_have_none(instruction_set):
    _, x, output = unrolled(decays, instruction_set)
    [gradient] = torch.autograd.grad(output[-1].sum(), x)
    exact = 0.5 ** torch.arange(140, dtype=torch.float64)
    assert not has_denormals(output)
    assert not has_denormals(gradient)
    torch.testing.assert_close(output[:, 0, 0].double(), exact, rtol=1e-6, atol=TINY)
    torch.testing.assert_close(gradient[:, 0, 0].double(), exact.flip(0), rtol=1e-6, atol=TINY)


@pytest.mark.parametrize("function", [decays_and_divides, decays_and_compares])
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_programs_that_could_tell_the_difference_keep_them(instruction_set, function):
    _, _, output = unrolled(function, instruction_set)
    assert has_denormals(output)
    exact = 0.5 ** torch.arange(140, dtype=torch.float64)
    torch.testing.assert_close(output[:, 0, 0].double(), exact, rtol=1e-6, atol=1e-44)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("flushes", [False, True])
def test_threads_are_as_before(threads, flushes):
    torch.set_num_threads(threads)
    torch.set_flush_denormal(flushes)
    try:
        unrolled(decays, None)
        assert bool((torch.full((1 << 20,), TINY) / 2 == 0)[0]) == flushes
        torch.set_flush_denormal(False)
        assert bool((torch.full((1 << 20,), TINY) / 2 != 0).all())
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(1)
