"""The operator `rnnkit::unroll_cell`: compiled models run the plans of cells as eager ones do, with equal results."""

import copy
import gc
import weakref
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from rnnkit import Cell, CellState, cell_kind, register_executor, register_kind
from rnnkit.cells import operator_graph
from rnnkit.cells._planned_operator import unroll_cell, unroll_cell_backward
from tests.helpers.cells import SimpleCell
from tests.helpers.executors import Reference
from tests.helpers.models import leaves, map_state, random_state, small_model, total

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's tracer warns about its own code

LENGTHS = torch.tensor([5, 0, 3])
SIZES = [(7, 5), (4, 8), (2, 9)]  # torch takes sizes that are equal in the first call for one size


class Counting(Reference):
    """The reference executor, which counts its calls."""

    calls = 0

    def unroll(self, *arguments):
        type(self).calls += 1
        return super().unroll(*arguments)


@pytest.fixture(autouse=True)
def _executor(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "local/reference")
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    Counting.calls = 0
    with register_executor(Counting):
        yield


class Gated(Cell):
    """A cell with a projected input in two parts, one weight under two names, a buffer and a number."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(2 * hidden_size, input_size)
        self.weight_hf = self.new_parameter(hidden_size, hidden_size)
        self.weight_hn = self.weight_hf
        self.register_buffer("scale", torch.linspace(0.5, 1, hidden_size, device=device, dtype=dtype))
        self.rate = 0.5

    def project(self, x):
        return F.linear(x, self.weight_ih).chunk(2, dim=-1)

    def step(self, projected_t, state):
        x_f, x_n = projected_t
        f = torch.sigmoid(x_f + F.linear(state.h, self.weight_hf))
        n = torch.tanh(x_n + self.rate * F.linear(f * state.h, self.weight_hn))
        h = state.h + f * (self.scale * n - state.h)
        return h, CellState(h)


def model_of(cell=Gated, **changes):
    with register_kind(cell_kind(cell, name="planned", summary="A test.")) as kind:
        return small_model(kind.name, **changes)


def compiled(model, **settings):
    return torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=True, **settings)


def example(model, batch, time):
    """Return input, state and lengths, of which one is 0."""
    x = torch.randn(batch, time, model.spec.input_size, dtype=model.dtype)
    return x, random_state(model, batch), torch.randint(1, time + 1, (batch,)).scatter(0, torch.tensor([1]), 0)


def with_gradients(model, function, x, state, lengths):
    x, state = x.clone().requires_grad_(), map_state(lambda part: part.detach().clone().requires_grad_(), state)
    y, final = function(x, state, lengths, return_state=True)
    return y, final, torch.autograd.grad(total(y, final), [x, *leaves(state), *model.parameters()])


def gradients(y, tensors):
    return torch.autograd.grad(y.sum(), tensors, materialize_grads=True)


def assert_same(actual, expected):
    torch.testing.assert_close(leaves(actual), leaves(expected), rtol=1e-9, atol=1e-9)


@contextmanager
def runs_by_executor(count):
    """Expect this number of calls of the executor in a `with` block."""
    before = Counting.calls
    yield
    assert Counting.calls - before == count


def test_one_graph_for_all_sizes_with_the_results_of_eager_mode():
    model = model_of(bidirectional=True)
    function = compiled(model)
    for size in SIZES:
        arguments = example(model, *size)
        expected = with_gradients(model, model, *arguments)
        with runs_by_executor(4):
            actual = with_gradients(model, function, *arguments)
        assert_same(actual, expected)
        with torch.no_grad():
            assert_same(function(*arguments), model(*arguments))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2  # with and without gradients


def test_models_of_one_structure_share_a_graph_but_not_their_cells():
    model = model_of(num_layers=1)
    compiled(model)(*example(model, *SIZES[0]))
    for factor in range(10):  # more than torch's limit of compilations
        other = copy.deepcopy(model)
        other.backbone.cells[0].scale *= factor
        arguments = example(other, *SIZES[0])
        assert_same(compiled(other)(*arguments), other(*arguments))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def double(module):
    parametrize.register_parametrization(module, "weight_hf", Double())


class Double(nn.Module):
    def forward(self, tensor):
        return 2 * tensor


CHANGES = {
    "number": lambda cell: setattr(cell, "rate", 2.0),
    "buffer": lambda cell: cell.scale.mul_(2),
    "weights_in_place": lambda cell: cell.weight_hf.data.mul_(2),
    "parameter": lambda cell: setattr(cell, "weight_ih", nn.Parameter(2 * cell.weight_ih.detach())),
    "hook": lambda cell: cell.register_forward_hook(lambda _module, _inputs, result: (2 * result[0], result[1])),
    "parametrization": double,
    "method": lambda cell: setattr(cell, "step", lambda projected_t, state: (2 * projected_t[0], state)),
    "frozen": lambda cell: cell.weight_ih.requires_grad_(False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_cell_is_noticed(change):
    model = model_of(num_layers=1)
    function, arguments = torch.compile(model, backend="aot_eager"), example(model, *SIZES[0])
    function(*arguments)
    before = model(*arguments)
    CHANGES[change](model.backbone.cells[0])
    y, expected = function(*arguments), model(*arguments)
    assert_same(y, expected)
    assert change == "frozen" or not torch.allclose(before, expected)
    parameters = [each for each in model.parameters() if each.requires_grad]
    assert_same(gradients(y, parameters), gradients(expected, parameters))


def test_a_replaced_cell_runs():
    model, other = model_of(num_layers=1), model_of(num_layers=1)
    function, arguments = compiled(model), example(model, *SIZES[0])
    function(*arguments)
    model.backbone.cells[0] = other.backbone.cells[0]
    model.backbone.cells[0].rate = 0.1
    assert_same(with_gradients(model, function, *arguments), with_gradients(model, model, *arguments))


def test_step_loop_runs_if_executors_are_disabled_later(monkeypatch):
    model = model_of(num_layers=1)
    function, arguments = compiled(model), example(model, *SIZES[0])
    function(*arguments)
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
    with runs_by_executor(0):
        assert_same(with_gradients(model, function, *arguments), with_gradients(model, model, *arguments))


def test_other_weights_than_those_of_the_cell():
    model = model_of(num_layers=1)
    weights = {name: torch.randn_like(each, requires_grad=True) for name, each in model.named_parameters()}

    def loss(weights, x, state, lengths):
        return torch.func.functional_call(model, weights, (x, state, lengths)).square().sum()

    arguments = example(model, *SIZES[0])
    values = list(weights.values())
    expected = torch.autograd.grad(loss(weights, *arguments), values)
    assert_same(torch.autograd.grad(compiled(loss)(weights, *arguments), values), expected)


def test_options_between_the_steps_and_exports_run_no_executor():
    stack = model_of(num_layers=1, options={"zoneout": 0.3}).train()
    with runs_by_executor(0):
        compiled(stack)(*example(stack, *SIZES[0]))
        torch.export.export(model_of(num_layers=1).eval(), example(stack, *SIZES[0]))


def test_a_step_without_a_plan_runs_by_scan():
    class Cumulative(SimpleCell):
        def activation(self, x):
            return torch.tanh(x.cumsum(-1))

    model = model_of(Cumulative, num_layers=1)
    arguments = example(model, *SIZES[0])
    with runs_by_executor(0):
        assert_same(with_gradients(model, compiled(model), *arguments), with_gradients(model, model, *arguments))


def test_cell_with_an_unregistered_tensor_that_requires_a_gradient():
    class Unregistered(SimpleCell):
        def __init__(self, *sizes, **others):
            super().__init__(*sizes, **others)
            vars(self)["gain"] = torch.full((), 0.5, dtype=others["dtype"], requires_grad=True)

        def project(self, x):
            return self.gain * super().project(x)

    model = model_of(Unregistered, num_layers=1)
    (x, *others), gain = example(model, *SIZES[0]), model.backbone.cells[0].gain
    (expected,) = torch.autograd.grad(model(x, *others).sum(), gain)
    assert_same(torch.autograd.grad(compiled(model)(x, *others).sum(), gain), expected)


def test_a_gradient_that_would_be_lost_is_an_error():
    outside = torch.full((), 0.5, dtype=torch.float64, requires_grad=True)

    class ReadsATensorOfItsModule(SimpleCell):
        def project(self, x):
            return outside * super().project(x)

    model = model_of(ReadsATensorOfItsModule, num_layers=1)
    with pytest.raises(RuntimeError, match="register_parameter"):
        compiled(model)(*example(model, *SIZES[0]))


def test_a_compiled_model_can_be_collected_and_copied():
    model = model_of(num_layers=1)
    function, arguments = compiled(model), example(model, *SIZES[0])
    expected = function(*arguments)
    duplicate = copy.deepcopy(function)
    assert_same(duplicate(*arguments), expected)
    with torch.no_grad():
        duplicate._orig_mod.backbone.cells[0].weight_hf.zero_()
    assert not torch.allclose(duplicate(*arguments), expected)
    reference = weakref.ref(model)
    del model, function
    torch.compiler.reset()
    gc.collect()
    assert reference() is None


# The operator alone


def arguments_of(model, lengths, *, save=True):
    x = torch.randn(5, 3, model.spec.input_size, dtype=torch.float64, requires_grad=True)
    state = [part.requires_grad_() for part in leaves(random_state(model, 3)[0])]
    cell = model.backbone.cells[0]
    weights = [*cell.parameters(), *cell.buffers()]
    return [model.backbone._number, x, state, weights, lengths, 0, cell.output_size, save]


with_or_without_lengths = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no_lengths", "lengths"])


@with_or_without_lengths
def test_torch_accepts_the_operator(lengths):
    model = model_of(bidirectional=False)
    given = arguments_of(model, lengths)
    assert set(torch.library.opcheck(unroll_cell, given).values()) == {"SUCCESS"}


@with_or_without_lengths
@pytest.mark.parametrize("save", [False, True], ids=["computed_again", "saved"])
def test_numerical_gradients(lengths, save):
    model = model_of(bidirectional=False)
    number, x, state, weights, *others = arguments_of(model, lengths, save=save)
    count = len(list(model.backbone.cells[0].parameters()))

    def function(x, h, *weights_of_the_call):
        return unroll_cell(number, x, [h], [*weights_of_the_call, *weights[count:]], *others)[:2]

    assert torch.autograd.gradcheck(function, (x, *state, *weights[:count]), fast_mode=True)


def test_graph_is_freed_with_the_output_and_by_the_backward():
    model = model_of(bidirectional=False)
    before = len(operator_graph._graphs)
    outputs = unroll_cell(*arguments_of(model, None))
    assert len(operator_graph._graphs) == before + 1
    del outputs
    assert len(operator_graph._graphs) == before
    given = arguments_of(model, None)
    y = unroll_cell(*given)[0].square().sum()
    first = torch.autograd.grad(y, given[1], retain_graph=True)
    assert len(operator_graph._graphs) == before
    torch.testing.assert_close(torch.autograd.grad(y, given[1]), first)


@torch.no_grad()
def test_tensors_that_a_compiler_overwrites_do_not_matter():
    model = model_of(bidirectional=False)
    given = arguments_of(model, LENGTHS)
    number, x, state, weights, *settings, _ = given
    upstream = [torch.ones(5, 3, 6, dtype=torch.float64), *map(torch.ones_like, state)]
    needed = [True, True, True, True, False]

    def backward(saved):
        return unroll_cell_backward(upstream, saved, needed, number, x, state, weights, *settings)

    expected = backward([])
    *outputs, saved = unroll_cell(*given)
    for tensor in [*outputs, x, *state]:
        tensor.data.fill_(torch.nan)
    torch.testing.assert_close(backward([saved]), expected)


def test_second_derivatives_are_refused():
    model = model_of(bidirectional=False)
    given = arguments_of(model, None)
    (gradient,) = torch.autograd.grad(unroll_cell(*given)[0].square().sum(), given[1], create_graph=True)
    with pytest.raises(RuntimeError, match=r"call it without torch\.compile"):
        gradient.sum().backward()
