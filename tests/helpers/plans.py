"""Plans compared with steps: the reference runs each sequence alone, one step after another."""

import math

import torch
from torch import nn

from rnnkit import Cell, CellState
from rnnkit.plan import Plan, plan_for, unroll
from rnnkit.plan.lower import lower
from rnnkit.plan.record import record
from rnnkit.plan.snapshot import cell_tensors
from rnnkit.plan.stages import make_plan
from rnnkit.plan.steps import Steps

LENGTHS = torch.tensor([4, 0, 1, 3, 4])
TIME, BATCH = 4, len(LENGTHS)


class StepCell(Cell):
    """A cell of a function `step(projected_t, h, weight, vector)`, the next hidden state, which is also the output."""

    def __init__(self, function, input_size=4, hidden_size=4, *, dtype=torch.float64):
        super().__init__(input_size, hidden_size, dtype=dtype)
        self.weight = self.new_parameter(hidden_size, hidden_size)
        self.vector = self.new_parameter(hidden_size)
        self.function = function

    def step(self, projected_t, state):
        h = self.function(projected_t, state.h, self.weight, self.vector)
        return h, CellState(h)


def plan_of(cell):
    """Return the plan of a cell that must have one."""
    plan = plan_for(cell)
    assert isinstance(plan, Plan), plan
    return plan


def unverified_plan(cell):
    """Return the plan of a cell without comparing it with steps."""
    shapes = cell.state_shapes(23)
    state = type(shapes)(*[torch.randn(shape, dtype=torch.float64) for shape in shapes])
    projected = cell.project(torch.randn(23, cell.input_size, dtype=torch.float64))
    return make_plan(lower(record(Steps(cell, None).step, projected, (), state, cell_tensors(cell), batch=23)))


def randomize(cell):
    """Give parameters random values: zeros would hide errors."""
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=1 / math.sqrt(cell.hidden_size))
    return cell


def assert_plan_equals_steps(cell, lengths=LENGTHS, *, plan=None, tolerance=1e-11, run=unroll, batch=BATCH):
    """Compare output, final state and all gradients in float64, for sequences of several lengths.

    Args:
        run: the `unroll` of an executor.
    """
    plan = plan or plan_of(cell)
    x = torch.randn(TIME, batch, cell.input_size, dtype=torch.float64, requires_grad=True)
    shapes = cell.state_shapes(batch)
    state = type(shapes)(*[torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes])
    inputs = {"x": x, **state._asdict(), **dict(cell.named_parameters())}
    found = run(plan, cell, cell.project(x), state, lengths)
    expected = each_sequence_alone(cell, x, state, lengths)
    assert_close(
        {"output": found[0], **found[1]._asdict()}, {"output": expected[0], **expected[1]._asdict()}, tolerance
    )
    assert_close(gradients(*found, inputs), gradients(*expected, inputs), tolerance)


def each_sequence_alone(cell, x, state, lengths):
    outputs, finals = [], []
    for sequence in range(x.shape[1]):
        length = x.shape[0] if lengths is None else int(lengths[sequence])
        one = type(state)(*[part[sequence : sequence + 1] for part in state])
        steps = []
        for t in range(length):
            output, one = cell.step(cell.project(x[t, sequence : sequence + 1]), one)
            steps.append(output)
        padding = x.new_zeros(x.shape[0] - length, 1, cell.output_size)
        outputs.append(torch.cat([*[step.unsqueeze(0) for step in steps], padding]))
        finals.append(one)
    return torch.cat(outputs, 1), type(state)(*[torch.cat(parts) for parts in zip(*finals, strict=True)])


def gradients(output, final, inputs):
    """Return the gradients of a weighted sum by the names of the inputs; None becomes zeros."""
    generator = torch.Generator().manual_seed(1)
    parts = [output, *final]
    total = sum((each * torch.randn(each.shape, generator=generator, dtype=each.dtype)).sum() for each in parts)
    wanted = {name: each for name, each in inputs.items() if each.requires_grad}
    found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    return {
        name: torch.zeros_like(each) if gradient is None else gradient
        for (name, each), gradient in zip(wanted.items(), found, strict=True)
    }


def assert_close(found, expected, tolerance):
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, rtol=tolerance, atol=tolerance, equal_nan=True, msg=lambda text, n=name: f"{n}: {text}"
        )
