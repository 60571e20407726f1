"""Each instruction of the native library equals torch, on every instruction set that this processor has."""

import itertools
import math
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from rnnkit import Cell
from rnnkit.plan import INSTRUCTIONS, Place, PlacedInstruction, Program, Stage
from tests.helpers.kernels import INSTRUCTION_SETS, library, run_on
from tests.helpers.plans import unverified_plan

POINTS = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-310, -1e-40, 1e-20, -0.3, 0.5, -0.7, 1.0, -1.0, 2.0, -3.0, 6.0]
POINTS += [20.0, -25.0, 88.0, -88.0, 89.5, -105.0, 700.0, -745.0, 1e4, -1e4]
# torch's own parameters of these instructions are constants
CONSTANTS = {
    "pow": [(2.0,), (3.0,), (-1.5,), (0.5,), (0.0,)],
    "clamp": [(-1.0, 2.0), (-math.inf, 0.5), (0.25, math.inf)],
    "hardtanh": [(-1.0, 1.0)],
    "softplus": [(1.0, 20.0), (2.0, 10.0)],
}
TWO = [
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "gt",
    "ge",
    "lt",
    "le",
    "eq",
    "ne",
    "logical_and",
    "logical_or",
]
BACKWARD = ["tanh_backward", "sigmoid_backward"]  # their second argument is a tanh or a sigmoid
TWO += BACKWARD
THREE = ["where", "lerp"]
ROWS = ["row_max", "row_mean"]
ONE = sorted(set(INSTRUCTIONS) - set(TWO) - set(THREE) - set(ROWS) - set(CONSTANTS))
FUSED = {
    "add_sigmoid": lambda a, b, c: torch.sigmoid(a + b),
    "add_tanh": lambda a, b, c: torch.tanh(a + b),
    "add_add": lambda a, b, c: a + b + c,
    "add_add_sigmoid": lambda a, b, c: torch.sigmoid(a + b + c),
    "add_add_tanh": lambda a, b, c: torch.tanh(a + b + c),
    "mul_add": lambda a, b, c: a * b + c,
    "mul_add_sigmoid": lambda a, b, c: torch.sigmoid(a * b + c),
    "mul_add_tanh": lambda a, b, c: torch.tanh(a * b + c),
    "mul_sub": lambda a, b, c: a * b - c,
    "mul_sub_from": lambda a, b, c: c - a * b,
    "mul_mul": lambda a, b, c: a * b * c,
    "sub_mul": lambda a, b, c: (a - b) * c,
}


class ThreeParts(NamedTuple):
    first: Tensor
    second: Tensor
    third: Tensor


class ThreePartsCell(Cell):
    """A cell whose plan reads and writes three pieces of `width` features."""

    State = ThreeParts

    def __init__(self, width):
        super().__init__(width, width, dtype=torch.float64)
        self.weight = self.new_parameter(1)

    def step(self, projected_t, state):
        return projected_t + state.first, state


def evaluate(name, arguments, instruction_set):
    """Run one instruction on tensors `(batch, width)` and constants."""
    tensors = [each for each in arguments if isinstance(each, Tensor)]
    batch, width = tensors[0].shape
    cell = ThreePartsCell(width)
    places = iter([Place("state", number, 0) for number in range(3)])
    read = tuple(next(places) if isinstance(each, Tensor) else each for each in arguments)
    copies = [PlacedInstruction("copy", Place("next_state", n, 0), (Place("state", n, 0),)) for n in range(3)]
    stage = Stage((PlacedInstruction(name, Place("output", 0, 0), read), *copies), ())
    plan = replace(unverified_plan(cell), inference=Program((stage,)))
    state = ThreeParts(*tensors, *[tensors[0]] * (3 - len(tensors)))
    cell.to(tensors[0].dtype)
    with torch.no_grad():
        output, _ = run_on(instruction_set)(plan, cell, torch.zeros(1, batch, width, dtype=tensors[0].dtype), state)
    return output[0]


def grid(dtype, count):
    """Return all tuples of points as `count` tensors of 13 columns, which is not a multiple of a vector."""
    points = POINTS if count < 3 else [math.nan, math.inf, -0.0, -0.7, 0.5, 2.0, -25.0]
    values = torch.tensor(list(itertools.product(points, repeat=count)), dtype=torch.float64).to(dtype)
    padded = torch.cat([values, values.new_ones(-len(values) % 13, count)])
    return list(padded.t().reshape(count, -1, 13))


def assert_equals_torch(name, value, arguments, instruction_set):
    found = evaluate(name, arguments, instruction_set)
    dtype = found.dtype
    tensors = [each if isinstance(each, Tensor) else torch.tensor(each, dtype=torch.float64) for each in arguments]
    exact = value(*[each.double() for each in tensors]) if dtype == torch.float32 else value(*tensors)
    expected = exact.to(dtype)
    of_torch = value(*[each.to(dtype) for each in tensors]).to(dtype)
    # a rounding of the arguments decides near an overflow: there torch's own result in this dtype
    expected = torch.where(expected.isfinite() == of_torch.isfinite(), expected, of_torch)
    tiny = torch.finfo(dtype).smallest_normal
    torch.testing.assert_close(found, expected, rtol=4 * torch.finfo(dtype).eps, atol=8 * tiny, equal_nan=True)


DTYPES = [torch.float32, torch.float64]
on_each = pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)


@on_each
@pytest.mark.parametrize("dtype", DTYPES)
def test_instructions_of_one_argument(dtype, instruction_set):
    for name in ONE:
        value = INSTRUCTIONS[name].value
        boolean = (lambda x, v=value: v(x != 0)) if name == "logical_not" else value
        assert_equals_torch(name, boolean, grid(dtype, 1), instruction_set)


@on_each
@pytest.mark.parametrize("dtype", DTYPES)
def test_instructions_of_several_arguments(dtype, instruction_set):
    for name in TWO:
        first, second = grid(dtype, 2)
        if name in BACKWARD:  # a denormal product may be flushed before it is multiplied again
            second = second.clamp(-1, 1)
        assert_equals_torch(name, INSTRUCTIONS[name].value, [first, second], instruction_set)
    for name in THREE:
        value = (lambda m, a, b: torch.where(m != 0, a, b)) if name == "where" else INSTRUCTIONS[name].value
        assert_equals_torch(name, value, grid(dtype, 3), instruction_set)


@on_each
@pytest.mark.parametrize("dtype", DTYPES)
def test_instructions_with_constants(dtype, instruction_set):
    for name, choices in CONSTANTS.items():
        for constants in choices:
            value = lambda x, *rest, n=name: INSTRUCTIONS[n].value(x, *map(float, rest))  # noqa: E731
            assert_equals_torch(name, value, [*grid(dtype, 1), *constants], instruction_set)


@on_each
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 3, 8, 13, 40])
def test_instructions_of_rows(width, dtype, instruction_set):
    """Each special value at the start, in the middle and at the end of a row, and rows of values of one size."""
    torch.manual_seed(0)
    rows = [torch.randn(width).double() * size for size in (1.0, 1e4, 1e-40, 1e-310)]
    for point, place in itertools.product(POINTS, (0, width // 2, width - 1)):
        row = torch.randn(width).double()
        row[place] = point
        rows.append(row)
    rows.append(torch.full((width,), -math.inf).double())
    values = torch.stack(rows).to(dtype)
    for name in ROWS:
        found, exact = evaluate(name, [values], instruction_set), INSTRUCTIONS[name].value(values.double()).to(dtype)
        size = torch.where(values.isfinite(), values, 0).abs().amax(-1, keepdim=True)  # of the terms of the sum
        limit = 4 * torch.finfo(dtype).eps * size + torch.finfo(dtype).smallest_normal  # denormals may be flushed
        assert torch.equal(found.isfinite(), exact.isfinite())
        assert ((found - exact).abs() <= limit)[exact.isfinite()].all()
        torch.testing.assert_close(found[~exact.isfinite()], exact[~exact.isfinite()], equal_nan=True)


@on_each
@pytest.mark.parametrize("dtype", DTYPES)
def test_fused_instructions(dtype, instruction_set):
    """On values without cancellation: a fused product is not rounded."""
    a, b, c = (torch.rand(5, 13, dtype=torch.float64).add(0.1).to(dtype) for _ in range(3))
    assert set(library().opcodes) == set(INSTRUCTIONS) | set(FUSED)
    for name, value in FUSED.items():
        found = evaluate(name, [a, b, c], instruction_set)
        expected = value(a.double(), b.double(), c.double())
        torch.testing.assert_close(
            found.double(), expected, rtol=8 * torch.finfo(dtype).eps, atol=torch.finfo(dtype).eps
        )


@on_each
@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid"])
def test_accuracy(name, instruction_set):
    """Errors in units of the last place, on a fine grid of the whole range."""
    x = torch.cat([torch.linspace(-87, 87, 100_035), torch.linspace(-1, 1, 50_000), torch.logspace(-30, 0, 965)])
    x = x.double().view(-1, 500).contiguous()
    exact = INSTRUCTIONS[name].value(x.float().double())
    found = evaluate(name, [x.float()], instruction_set).double()
    spacing = torch.nextafter(exact.abs().float(), torch.tensor(math.inf)).double() - exact.abs().float().double()
    assert ((found - exact).abs() / spacing).max() < 4
    torch.testing.assert_close(
        evaluate(name, [x], instruction_set), INSTRUCTIONS[name].value(x), rtol=1.5e-15, atol=1e-300
    )


@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 50])
def test_no_width_reads_or_writes_past_the_end(width):
    """The rows of a tensor with a margin, which must stay as it is, and be ignored."""
    for instruction_set, dtype in itertools.product(INSTRUCTION_SETS, DTYPES):
        wide = torch.full((3, width + 40), math.nan, dtype=dtype)
        wide[:, :width] = torch.randn(3, width)
        found = evaluate("tanh", [wide[:, :width]], instruction_set)
        torch.testing.assert_close(found, torch.tanh(wide[:, :width]))
