"""Each instruction and each element-wise operator equals torch, for NaN, infinities and jumps of the derivative too."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from rnnkit import Cell
from rnnkit.plan import INSTRUCTIONS, unroll
from rnnkit.plan.instructions import CHEAP, MASKS
from tests.helpers.plans import unverified_plan
from tests.helpers.torchrecurrent_cells import TwoPartState

POINTS = [
    math.nan,
    math.inf,
    -math.inf,
    -3.0,
    -1.0,
    -0.5,
    -0.0,
    0.0,
    0.25,
    0.5,
    1.0,
    1.5,
    2.0,
    3.0,
    6.0,
    20.0,
    25.0,
    -800.0,
]
_UNARY = {
    "neg": torch.neg,
    "reciprocal": torch.reciprocal,
    "abs": torch.abs,
    "sign": torch.sign,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "square": torch.square,
    "cube": lambda x: x**3,
    "inverse_square": lambda x: x**-2,
    "power_of_zero": lambda x: x**0,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": F.softplus,
    "softplus_beta": lambda x: F.softplus(x, 2.0, 10.0),
    "logsigmoid": F.logsigmoid,
    "clamp": lambda x: x.clamp(-1, 2),
    "clamp_min": lambda x: x.clamp(min=-1),
    "clamp_max": lambda x: x.clamp(max=2),
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
    "hardsigmoid": F.hardsigmoid,
    "leaky_relu": F.leaky_relu,
    "threshold": lambda x: F.threshold(x, 0.5, 7.0),
    "elu": lambda x: F.elu(x, 0.7),
    "selu": F.selu,
    "silu": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "prelu": lambda x: F.prelu(x, torch.tensor(0.3, dtype=x.dtype)),
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "rsub": lambda x: 1 - x,
    "scaled_sub": lambda x: torch.sub(x, 2.0, alpha=3),
    "scaled_add": lambda x: torch.add(x, x, alpha=3),
    "comparison": lambda x: (x > 0) * x,
    "mask_to_number": lambda x: (x >= 0.5).to(x.dtype) * x,
    "logic": lambda x: torch.where((x > -1) & ~(x > 1) | (x == 6), x, 2 * x),
    "masked_fill": lambda x: x.masked_fill(x <= 0.25, 3.0),
    "constant": lambda x: x + torch.tensor(2.0, dtype=x.dtype),
    "zeros": lambda x: x + torch.zeros_like(x) + torch.ones(x.shape, dtype=x.dtype),
    "in_place": lambda x: (x + 1).mul_(2).sigmoid_(),
}
_BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "lerp": lambda a, b: torch.lerp(a, b, torch.sigmoid(a)),
    "lerp_scalar": lambda a, b: torch.lerp(a, b, 0.3),
    "addcmul": lambda a, b: torch.addcmul(a, a, b, value=2),
    "addcdiv": lambda a, b: torch.addcdiv(a, a, b, value=2),
    "where": lambda a, b: torch.where(a > b, a, b),
    "comparisons": lambda a, b: (a < b) * b + (a != b) * a,
}


_OF_ROWS = {
    "mean": lambda x: x * x.mean(-1, keepdim=True),
    "mean_of_two_axes": lambda x: x * x.view(-1, 2, 4).mean((1, 2)).unsqueeze(-1),
    "mean_over_heads": lambda x: (x.view(-1, 2, 4) * x.view(-1, 2, 4).mean(1, keepdim=True)).flatten(1),
    "sum": lambda x: x * x.sum(1, keepdim=True),
    "sum_without_axis": lambda x: x * x.sum(1).tanh()[:, None],
    "var": lambda x: x * x.var(-1, keepdim=True),
    "biased_var": lambda x: x * x.var(-1, keepdim=True, correction=0),
    "std": lambda x: x * x.std(-1, keepdim=True),
    "norm": lambda x: x * x.norm(dim=-1, keepdim=True),
    "normalize": lambda x: F.normalize(x, dim=-1),
    "layer_norm": lambda x: F.layer_norm(x, (8,)),
    "layer_norm_of_heads": lambda x: F.layer_norm(x.view(-1, 2, 4), (4,)).flatten(1),
    "layer_norm_of_two_axes": lambda x: F.layer_norm(x.view(-1, 2, 4), (2, 4)).flatten(1),
    "rms_norm": lambda x: F.rms_norm(x, (8,), eps=1e-6),
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: x.log_softmax(1),
}


class TwoValuesCell(Cell):
    """A cell whose output is a function of the two parts of its state: one of the input alone is left to torch."""

    State = TwoPartState

    def __init__(self, function, width):
        super().__init__(width, width, dtype=torch.float64)
        self.function = function

    def step(self, projected_t, state):
        return self.function(*state), state


def compare(function, *inputs, tolerance=1e-12):
    """Compare a step with the function that it applies, and the gradients of the two."""
    cell = TwoValuesCell(function, inputs[0].shape[-1])
    plan = unverified_plan(cell)  # verification refuses a step such as log, which is not finite for all states
    assert not plan.projection.calls
    state = TwoPartState(*[each.clone().requires_grad_() for each in inputs])
    expected = function(*state)
    found, _ = unroll(plan, cell, torch.zeros(1, *inputs[0].shape, dtype=torch.float64), state)
    torch.testing.assert_close(found[0], expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    gradients = [torch.autograd.grad(y.sum(), state, allow_unused=True) for y in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        wanted = torch.zeros_like(state.first) if other is None else other
        torch.testing.assert_close(one, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("name", _UNARY)
def test_functions_of_one_value(name):
    x = torch.tensor([POINTS], dtype=torch.float64).t().contiguous()
    compare(lambda first, second: _UNARY[name](first), x, torch.zeros_like(x))


@pytest.mark.parametrize("name", _BINARY)
def test_functions_of_two_values(name):
    pairs = torch.tensor(list(itertools.product(POINTS, POINTS)), dtype=torch.float64)
    first, second = pairs.t().reshape(2, -1, 1).contiguous()
    compare(_BINARY[name], first, second)


@pytest.mark.parametrize("name", _OF_ROWS)
def test_functions_of_rows(name):
    """Of 8 features, so that sums of equal features are exact: the gradient of a standard deviation jumps at 0."""
    rows = [torch.randn(8) * scale for scale in (1, 1e4, 1e-20)] + [torch.zeros(8), torch.ones(8)]
    rows += [torch.tensor([point, *range(7)]) for point in (math.nan, math.inf, -math.inf)]
    x = torch.stack(rows).double()
    compare(lambda first, second: _OF_ROWS[name](first), x, torch.zeros_like(x), tolerance=1e-10)


def test_all_instructions_are_compared():
    names = {*_UNARY, *_BINARY}
    elsewhere = {"copy", "pow", "log_sigmoid", "row_mean", "row_max", *MASKS}
    assert {name for name, each in INSTRUCTIONS.items() if each.derivative} <= names | elsewhere
    assert set(INSTRUCTIONS) >= CHEAP
