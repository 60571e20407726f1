"""Compiled models by rnnkit-kernels: outputs, states and gradients equal those of the step loop."""

import pytest
import torch
from torch.nn import functional as F

from rnnkit import Cell, cell_kind, register_kind
from rnnkit.cells import _planned_operator
from tests.helpers.models import leaves, map_state, random_state, small_model, total
from tests.helpers.torchrecurrent_cells import TwoPartState

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's tracer warns about its own code

SIZES = [(7, 5), (4, 8), (2, 9)]


class PeepholeCell(Cell):
    """A cell with a product of a computed value, two parts of the state, and a projected input in two parts."""

    State = TwoPartState

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(2 * hidden_size, input_size)
        self.weight_f = self.new_parameter(hidden_size, hidden_size)
        self.weight_n = self.new_parameter(hidden_size, hidden_size)
        self.peephole = self.new_parameter(hidden_size)

    def state_shapes(self, batch_size):
        shape = torch.Size((batch_size, self.hidden_size))
        return TwoPartState(shape, shape)

    def project(self, x):
        return F.linear(x, self.weight_ih).chunk(2, dim=-1)

    def step(self, projected_t, state):
        x_f, x_n = projected_t
        f = torch.sigmoid(torch.addmm(x_f, state.first, self.weight_f.t()) + self.peephole * state.second)
        n = torch.tanh(x_n + F.linear(f * state.first, self.weight_n))
        c = torch.lerp(state.second, n, f)
        h = f * torch.tanh(c)
        return h, TwoPartState(h, c)


@pytest.fixture(autouse=True)
def _kernels(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "rnnkit-kernels/kernels")
    torch.compiler.reset()


def results(model, function, x, state, lengths):
    x, state = x.clone().requires_grad_(), map_state(lambda part: part.detach().clone().requires_grad_(), state)
    y, final = function(x, state, lengths, return_state=True)
    return leaves((y, final)), torch.autograd.grad(total(y, final), [x, *leaves(state), *model.parameters()])


@pytest.mark.parametrize(
    ("backend", "bidirectional", "dtype", "tolerance"),
    [("aot_eager", True, torch.float64, 1e-10), ("inductor", False, torch.float32, 1e-4)],
)
def test_compiled_model_equals_the_step_loop(backend, bidirectional, dtype, tolerance, monkeypatch):
    calls = []
    planned = _planned_operator.unroll_planned
    monkeypatch.setattr(
        _planned_operator, "unroll_planned", lambda *a, **kw: calls.append(planned(*a, **kw)) or calls[-1]
    )
    with register_kind(cell_kind(PeepholeCell, name="peephole", summary="A test.")) as kind:
        model = small_model(kind.name, dtype=dtype, bidirectional=bidirectional)
    compiled = torch.compile(model, backend=backend, fullgraph=True, dynamic=True)
    for batch, time in SIZES:
        x, state = torch.randn(batch, time, 3, dtype=dtype), random_state(model, batch)
        lengths = torch.randint(1, time + 1, (batch,)).scatter(0, torch.tensor([1]), 0)
        actual = results(model, compiled, x, state, lengths)
        model.backbone.force_step_loop = True
        expected = results(model, model, x, state, lengths)
        model.backbone.force_step_loop = False
        torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)
    assert [execution.executor for _, execution in calls] == ["kernels"] * len(model.backbone.cells) * len(SIZES)
