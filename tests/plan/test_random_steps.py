"""Random steps, drawn from the operators that plans know: the plan equals the steps, and its gradients are right."""

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.nn import functional as F

from rnnkit import Cell
from rnnkit.plan import unroll
from tests.helpers.plans import assert_plan_equals_steps, randomize, unverified_plan
from tests.helpers.torchrecurrent_cells import TwoPartState

# The values stay of the order of 1: otherwise rounding would decide.
UNARY = {
    "neg": torch.neg,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "sin": torch.sin,
    "cos": torch.cos,
    "abs": torch.abs,
    "erf": torch.erf,
    "exp": lambda x: torch.exp(torch.tanh(x)),
    "expm1": lambda x: torch.expm1(-x.abs()),
    "log": lambda x: torch.log(1.5 + torch.tanh(x)),
    "log1p": lambda x: torch.log1p(x.abs()),
    "sqrt": lambda x: torch.sqrt(1 + x * x),
    "rsqrt": lambda x: torch.rsqrt(1 + x**2),
    "power": lambda x: torch.tanh(x) ** 3,
    "reciprocal": lambda x: torch.reciprocal(2 + torch.cos(x)),
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "silu": F.silu,
    "gelu": F.gelu,
    "elu": F.elu,
    "leaky_relu": F.leaky_relu,
    "clamp": lambda x: x.clamp(-0.4, 0.7),
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "select": lambda x: torch.where(x > 0.1, x, 0.5 * x),
    "halves_swapped": lambda x: torch.cat(x.chunk(2, -1)[::-1], -1),
    "reshaped": lambda x: torch.stack(x.view(-1, 2, 2).unbind(1)[::-1], 1).flatten(1),
    "first_half": lambda x: torch.cat([x[:, :2], x[:, :2] * 0.3], -1),
    "constant": lambda x: 0.3 * x - 1,
    # eps and 1: a row without variance would be divided by its rounding errors
    "layer_norm": lambda x: F.layer_norm(x, (4,), eps=0.1),
    "layer_norm_of_halves": lambda x: F.layer_norm(x.view(-1, 2, 2), (2,), eps=0.1).flatten(1),
    "rms_norm": lambda x: F.rms_norm(x, (4,), eps=0.1),
    "mean": lambda x: x - x.mean(-1, keepdim=True),
    "mean_of_halves": lambda x: torch.cat([x.view(-1, 2, 2).mean(1)] * 2, -1),
    "sum": lambda x: torch.tanh(x.sum(1).unsqueeze(1)) * x,
    "variance": lambda x: x / (1 + x.var(-1, keepdim=True)),
    "norm": lambda x: x / (1 + x.norm(dim=-1, keepdim=True)),
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: 0.3 * torch.log_softmax(x, -1),
}
BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": lambda a, b: torch.tanh(a) * b,
    "div": lambda a, b: a / (1 + b * b),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "lerp": lambda a, b: torch.lerp(a, b, torch.sigmoid(a)),
    "addcmul": lambda a, b: torch.addcmul(a, torch.tanh(a), b, value=0.5),
}
PARAMETERS = {
    "linear": lambda x, cell: F.linear(x, cell.weight, cell.vector),
    "addmm": lambda x, cell: torch.addmm(x, x, cell.weight.t(), beta=0.5),
    "antisymmetric": lambda x, cell: x @ (cell.weight - cell.weight.t() - 0.1 * torch.eye(4, dtype=x.dtype)),
    "gates": lambda x, cell: torch.mul(*F.linear(x, torch.cat([cell.weight, cell.weight.t()])).tanh().chunk(2, -1)),
    "vector": lambda x, cell: x * cell.vector,
    "scalar": lambda x, cell: x * torch.sigmoid(cell.scalar) + cell.scalar,
    "scalar_gate": lambda x, cell: x * torch.sigmoid(x @ cell.weight[:1].t()),
    "affine_layer_norm": lambda x, cell: F.layer_norm(x, (4,), cell.vector, 2 * cell.vector, eps=0.1),
    "gate_of_vectors": lambda x, cell: torch.lerp(x, cell.vector.expand_as(x), torch.sigmoid(cell.scalar)),
}
ALL = {**UNARY, **BINARY, **PARAMETERS}


class RandomCell(Cell):
    """A cell whose step is a list of operators, each applied to earlier values."""

    State = TwoPartState

    def __init__(self, operators):
        super().__init__(4, 4, dtype=torch.float64)
        self.operators = operators
        self.weight = self.new_parameter(4, 4)
        self.vector = self.new_parameter(4)
        self.scalar = self.new_parameter(1)

    def step(self, projected_t, state):
        values = [projected_t, *state]
        for name, first, second in self.operators:
            arguments = [values[first % len(values)]]
            arguments += [values[second % len(values)]] if name in BINARY else [self] if name in PARAMETERS else []
            values.append(ALL[name](*arguments))
        return values[-1], TwoPartState(values[-2], values[-3])


operator_lists = st.lists(
    st.tuples(st.sampled_from(sorted(ALL)), st.integers(0, 20), st.integers(0, 20)), min_size=3, max_size=16
)
quickly = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(quickly, max_examples=40)
@given(operator_lists)
def test_plans_of_random_steps_equal_the_steps(operators):
    torch.manual_seed(0)
    cell = randomize(RandomCell(operators))
    assert_plan_equals_steps(cell, plan=unverified_plan(cell), tolerance=1e-10)


@settings(quickly, max_examples=400)
@given(operator_lists)
def test_plans_of_many_random_steps_equal_the_steps(operators):
    torch.manual_seed(0)
    cell = randomize(RandomCell(operators))
    assert_plan_equals_steps(cell, tolerance=1e-10)


@settings(quickly, max_examples=20)
@given(operator_lists)
def test_gradients_of_random_steps_are_numerical_gradients(operators):
    torch.manual_seed(0)
    cell = randomize(RandomCell(operators))
    plan = unverified_plan(cell)
    x = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)
    state = [torch.randn(2, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]

    def results(x, *state):
        output, final = unroll(plan, cell, x, TwoPartState(*state), torch.tensor([2, 1]))
        return output, *final

    gradcheck(results, (x, *state), fast_mode=True)
