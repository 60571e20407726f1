"""Fused paths are equal to the step loop, and are not used where they could differ from it."""

import functools
from collections import Counter
from contextlib import ExitStack

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap
from torch.nn import functional as F
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrize, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.overrides import TorchFunctionMode

from rnnkit import Cell, CellState, cell_kind, register_kind
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_builtin.lstm_cell import LSTMCell, LSTMCellState
from tests.helpers.models import (
    BATCH,
    INPUT_SIZE,
    TIME,
    leaves,
    map_state,
    random_state,
    small_input,
    small_model,
    total,
)

LENGTHS = torch.tensor([5, 1, 0, 3])
KERNELS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
TOLERANCES = {torch.float64: {"rtol": 1e-9, "atol": 1e-12}, torch.float32: {"rtol": 1e-4, "atol": 1e-5}}
NETWORKS = {
    "rnn_cell_tanh": {"kind": "rnn_cell"},
    "rnn_cell_relu": {"kind": "rnn_cell", "options": {"nonlinearity": "relu"}},
    "gru_cell": {"kind": "gru_cell"},
    "lstm_cell": {"kind": "lstm_cell"},
    "mixed": {"kind": "mixed"},
}
OF_TORCH = {
    "rnn_cell_tanh": nn.RNN,
    "rnn_cell_relu": lambda *sizes, **fields: nn.RNN(*sizes, nonlinearity="relu", **fields),
    "gru_cell": nn.GRU,
    "lstm_cell": nn.LSTM,
}
networks = pytest.mark.parametrize("network", NETWORKS)
networks_of_one_kernel = pytest.mark.parametrize("network", OF_TORCH)
fused_kinds = pytest.mark.parametrize("fused", ["rnn_cell", "gru_cell", "lstm_cell"])
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
modes = pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
with_or_without_lengths = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no_lengths", "lengths"])


class TorchCalls(TorchFunctionMode):
    """Counts calls of torch's functions from Python within a `with` block."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names[function.__name__] += 1
        return function(*args, **(kwargs or {}))

    @property
    def kernels(self):
        return {name: self.names[name] for name in KERNELS if self.names[name]}

    @property
    def products(self):
        """Matrix products in Python: one for `project` of a built-in cell, and one for each step."""
        return self.names["linear"]


def network_model(network, *, options=None, **changes):
    """Return a model that outputs the backbone's output at every step."""
    fields = {**NETWORKS[network], **changes}
    fields["options"] = {**fields.get("options", {}), **(options or {})}
    return small_model(**fields, output_size=None, readout="all")


def with_gradients(model, x, state=None, lengths=None):
    """Return output, final state, and the gradients of the input, the state and every parameter."""
    x = x.detach().clone().requires_grad_()
    state = state and map_state(lambda part: part.detach().clone().requires_grad_(), state)
    y, final = model(x, state, lengths=lengths, return_state=True)
    wanted = [x, *leaves(state or ()), *model.parameters()]
    return y, final, torch.autograd.grad(total(y, final), wanted, materialize_grads=True)


def counted(model, *arguments):
    """Return the result of `with_gradients`, and the calls of torch's functions during it."""
    with TorchCalls() as calls:
        result = with_gradients(model, *arguments)
    return result, calls


def in_step_loop(model, *arguments):
    """Return the result of `with_gradients` in the step loop."""
    model.backbone.force_step_loop = True
    result, calls = counted(model, *arguments)
    model.backbone.force_step_loop = False
    assert not calls.kernels
    return result


def assert_same(actual, expected, dtype=torch.float64):
    torch.testing.assert_close(leaves(actual), leaves(expected), **TOLERANCES[dtype])


def assert_fused_equals_step_loop(model, x, state=None, lengths=None):
    fused, calls = counted(model, x, state, lengths)
    assert calls.kernels
    assert calls.products == 0, "a step ran in Python"
    assert_same(fused, in_step_loop(model, x, state, lengths), x.dtype)


# Equal to the step loop


@networks
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("num_layers", [1, 3])
@directions
@with_or_without_lengths
def test_fused_path_equals_step_loop(network, dtype, num_layers, bidirectional, lengths):
    model = network_model(network, dtype=dtype, num_layers=num_layers, bidirectional=bidirectional)
    assert_fused_equals_step_loop(model, small_input(dtype=dtype), random_state(model), lengths)


@networks
@pytest.mark.parametrize("bias", [False, True], ids=["no_bias", "bias"])
@with_or_without_lengths
def test_fused_path_equals_step_loop_from_initial_state(network, bias, lengths):
    assert_fused_equals_step_loop(network_model(network, bias=bias), small_input(), None, lengths)


@networks
@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": (4, 6)},
        {"hidden_size": (4, 6), "bias": False},
        {"options": {"residual": True}},
        {"options": {"layer_norm": "output"}},
        {"options": {"residual": True, "layer_norm": "output"}},
    ],
    ids=["sizes", "sizes_no_bias", "residual", "layer_norm", "residual_layer_norm"],
)
@with_or_without_lengths
def test_fused_path_equals_step_loop_with_operations_between_layers(network, changes, lengths):
    model = network_model(network, bidirectional=True, **changes)
    assert_fused_equals_step_loop(model, small_input(), random_state(model), lengths)


@networks
@pytest.mark.parametrize("hidden_size", [6, (4, 6)], ids=["one_size", "sizes"])
@with_or_without_lengths
def test_fused_path_equals_step_loop_from_learned_state(network, hidden_size, lengths):
    options = {"learn_initial_state": True}
    model = network_model(network, bidirectional=True, hidden_size=hidden_size, options=options)
    with torch.no_grad():
        for parameter in model.backbone.initial.parameters():
            parameter.normal_()
    assert_fused_equals_step_loop(model, small_input(), None, lengths)


@networks
@with_or_without_lengths
def test_fused_path_equals_step_loop_with_time_first(network, lengths):
    model = network_model(network, batch_first=False, bidirectional=True)
    assert_fused_equals_step_loop(model, small_input(batch_first=False), random_state(model), lengths)


# Equal to torch's modules


def weights_for_torch(model):
    """Return the weights as a state dict of torch's module."""
    count = model.spec.directions
    return {
        f"{name}_l{index // count}{'_reverse' * (index % count)}": weight
        for index, cell in enumerate(model.backbone.cells)
        for name, weight in cell.state_dict().items()
    }


def module_of_torch(network, model):
    names = ("input_size", "hidden_size", "num_layers")
    fields = {name: getattr(model.spec, name) for name in ("bias", "dropout", "bidirectional", "batch_first")}
    module = OF_TORCH[network](*(getattr(model.spec, name) for name in names), **fields, dtype=torch.float64)
    module.load_state_dict(weights_for_torch(model))
    return module.train(model.training)


def assert_same_state(final, of_torch):
    of_torch = of_torch if isinstance(of_torch, tuple) else (of_torch,)
    for part, expected in zip(zip(*final, strict=True), of_torch, strict=True):
        assert_same(torch.stack(part), expected)


@networks_of_one_kernel
@pytest.mark.parametrize("bias", [False, True], ids=["no_bias", "bias"])
@directions
@modes
def test_stack_equals_the_module_of_torch(network, bias, bidirectional, training):
    """Dropout included: the same seed drops the same features."""
    model = network_model(network, bias=bias, bidirectional=bidirectional, num_layers=3, dropout=0.4).train(training)
    reference, x = module_of_torch(network, model), small_input()
    torch.manual_seed(7)
    y, final = model(x, return_state=True)
    torch.manual_seed(7)
    expected, of_torch = reference(x)
    assert_same(y, expected)
    assert_same_state(final, of_torch)


@networks_of_one_kernel
@directions
@modes
def test_stack_equals_the_module_of_torch_on_packed_sequences(network, bidirectional, training):
    model = network_model(network, bidirectional=bidirectional, dropout=0.4).train(training)
    reference = module_of_torch(network, model)
    packed = pack_padded_sequence(small_input(), torch.tensor([2, 5, 1, 3]), batch_first=True, enforce_sorted=False)
    torch.manual_seed(7)
    y, final = model(packed, return_state=True)
    torch.manual_seed(7)
    expected, of_torch = reference(packed)
    assert_same(*(pad_packed_sequence(each)[0] for each in (y, expected)))
    assert_same_state(final, of_torch)


# The fused path is used


@fused_kinds
@modes
@pytest.mark.parametrize(
    ("changes", "kernels"),
    [
        ({"num_layers": 1}, 1),
        ({"num_layers": 3, "bidirectional": True}, 1),
        ({"dropout": 0.5}, 1),
        ({"options": {"learn_initial_state": True}}, 1),
        ({"hidden_size": (4, 6)}, 2),
        ({"hidden_size": (4, 6), "bidirectional": True}, 4),
        ({"options": {"residual": True}}, 2),
        ({"options": {"layer_norm": "output"}}, 2),
        ({"dropout": 0.5, "options": {"variational_dropout": True}}, 2),
    ],
    ids=[
        "one_layer",
        "three_layers",
        "dropout",
        "learned_state",
        "sizes",
        "sizes_bidirectional",
        "residual",
        "layer_norm",
        "variational_dropout",
    ],
)
def test_number_of_kernel_calls(fused, training, changes, kernels):
    model = small_model(fused, output_size=None, **changes).train(training)
    _, calls = counted(model, small_input())
    assert sum(calls.kernels.values()) == kernels
    assert calls.products == 0


def test_each_layer_of_a_mixed_stack_runs_its_own_kernel():
    _, calls = counted(small_model("mixed", output_size=None), small_input())
    assert calls.kernels == {"lstm": 1, "gru": 1}
    assert calls.products == 0


@fused_kinds
def test_parameters_of_functional_call_are_used(fused):
    model, other = (small_model(fused, output_size=None) for _ in range(2))
    x = small_input()
    with TorchCalls() as calls:
        y = functional_call(model, dict(other.named_parameters()), (x,))
    assert sum(calls.kernels.values()) == 1
    assert_same(y, other(x))
    assert not torch.allclose(y, model(x))


# Not used for modified cells, and used again after the change is undone


def nothing(*_):
    """A hook that changes nothing."""


def hooked(method):
    return lambda cell: getattr(cell, method)(nothing).remove


def hooked_everywhere(function):
    return lambda _cell: getattr(torch_module, function)(nothing).remove


def patched(method):
    """Set an equivalent method on the instance."""

    def patch(cell):
        setattr(cell, method, getattr(cell, method))
        return lambda: delattr(cell, method)

    return patch


def parametrized(cell):
    parametrize.register_parametrization(cell, "weight_hh", nn.Identity())
    return lambda: parametrize.remove_parametrizations(cell, "weight_hh")


def pruned(cell):
    prune.identity(cell, "weight_hh")
    return lambda: prune.remove(cell, "weight_hh")


MODIFICATIONS = {
    "forward_hook": hooked("register_forward_hook"),
    "forward_pre_hook": hooked("register_forward_pre_hook"),
    "backward_hook": hooked("register_full_backward_hook"),
    "backward_pre_hook": hooked("register_full_backward_pre_hook"),
    "parametrization": parametrized,
    "pruning": pruned,
    "forward": patched("forward"),
    "project": patched("project"),
    "step": patched("step"),
}
GLOBAL_HOOKS = [
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
]


@fused_kinds
@pytest.mark.parametrize("index", [0, 3])
@pytest.mark.parametrize("modify", MODIFICATIONS.values(), ids=MODIFICATIONS)
def test_modified_cell_runs_the_step_loop_until_restored(fused, index, modify):
    """The other three cells still run on kernels."""
    model, x = small_model(fused, output_size=None, readout="all", bidirectional=True), small_input()
    arguments = (x, random_state(model), LENGTHS)
    expected = in_step_loop(model, *arguments)
    with ExitStack() as stack:
        stack.callback(modify(model.backbone.cells[index]))
        modified, calls = counted(model, *arguments)
        assert sum(calls.kernels.values()) == 3
        assert calls.products >= TIME
    assert_same(without_parameters(modified), without_parameters(expected))
    again, calls = counted(model, *arguments)
    assert sum(calls.kernels.values()) == 1
    assert_same(without_parameters(again), without_parameters(expected))


def without_parameters(result):
    """Drop the gradients of parameters, whose order a parametrization changes, from a result of `with_gradients`."""
    y, final, gradients = result
    return y, final, gradients[: 1 + len(leaves(final))]


@fused_kinds
@pytest.mark.parametrize("function", GLOBAL_HOOKS)
def test_global_hook_makes_all_cells_run_the_step_loop(fused, function):
    model, x = small_model(fused, output_size=None, readout="all", bidirectional=True), small_input()
    arguments = (x, random_state(model), LENGTHS)
    expected = in_step_loop(model, *arguments)
    with ExitStack() as stack:
        stack.callback(getattr(torch_module, function)(nothing).remove)
        hooked, calls = counted(model, *arguments)
    assert not calls.kernels
    assert_same(hooked, expected)
    assert sum(counted(model, *arguments)[1].kernels.values()) == 1


@fused_kinds
def test_hook_on_another_module_keeps_the_kernels(fused):
    model = small_model(fused, output_size=None)
    model.backbone.register_forward_hook(nothing)
    assert sum(counted(model, small_input())[1].kernels.values()) == 1


@fused_kinds
def test_force_step_loop(fused):
    model, x = small_model(fused, output_size=None, num_layers=1), small_input()
    model.backbone.force_step_loop = True
    _, calls = counted(model, x)
    assert not calls.kernels
    assert calls.products == 1 + TIME
    model.backbone.force_step_loop = False
    assert counted(model, x)[1].kernels


@fused_kinds
@with_or_without_lengths
def test_all_states_runs_the_step_loop(fused, lengths):
    model, x = small_model(fused, bidirectional=True), small_input()
    with TorchCalls() as calls:
        output, _ = model.backbone.all_states(x, lengths=lengths)
    assert not calls.kernels
    assert_same(output, model.backbone(x, lengths=lengths)[0])


# Not used with options that act on each step


@fused_kinds
@modes
def test_zoneout_runs_the_step_loop(fused, training):
    model = small_model(fused, output_size=None, options={"zoneout": 0.3}).train(training)
    assert not counted(model, small_input())[1].kernels


@pytest.mark.parametrize("fused", ["rnn_cell", "lstm_cell"])
@pytest.mark.parametrize("hidden_size", [6, (4, 6)], ids=["one_size", "sizes"])
def test_recurrent_dropout_runs_the_step_loop_in_training_only(fused, hidden_size):
    options = {"recurrent_dropout": 0.3}
    model, x = small_model(fused, output_size=None, hidden_size=hidden_size, options=options), small_input()
    assert not counted(model.train(), x)[1].kernels
    assert_fused_equals_step_loop(model.eval(), x)


# Not used under transforms, for which the kernels have no rules


def direction(x):
    return torch.linspace(-1, 1, x.numel(), dtype=x.dtype).reshape(x.shape)


def by_vmap(model, x):
    return vmap(lambda sequence: model(sequence[None])[0])(x)


def by_grad(model, x):
    return grad(lambda x: model(x).square().sum())(x)


def by_jvp(model, x):
    return jvp(model, (x,), (direction(x),))[1]


def by_dual_level(model, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(model(forward_ad.make_dual(x, direction(x)))).tangent


def by_functional_call(model, x):
    """Return the gradients of the first cell's weights."""
    first = dict(list(model.named_parameters())[:1])
    (gradient,) = grad(lambda first: functional_call(model, first, (x,)).square().sum())(first).values()
    return gradient


def the_gradient(model, x, of):
    return torch.autograd.grad(model(x).square().sum(), of)[0]


def the_derivative(model, x):
    return torch.autograd.functional.jvp(model, x, direction(x))[1]


TRANSFORMS = {
    "vmap": (by_vmap, lambda model, x: model(x)),
    "grad": (by_grad, lambda model, x: the_gradient(model, x.requires_grad_(), x)),
    "jvp": (by_jvp, the_derivative),
    "dual_level": (by_dual_level, the_derivative),
    "functional_call": (by_functional_call, lambda model, x: the_gradient(model, x, next(model.parameters()))),
}


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's forward-mode rules use it
@fused_kinds
@directions
@pytest.mark.parametrize(("transformed", "expected"), TRANSFORMS.values(), ids=TRANSFORMS)
def test_transforms_run_the_step_loop(fused, bidirectional, transformed, expected):
    model, x = small_model(fused, output_size=None, bidirectional=bidirectional), small_input()
    with TorchCalls() as calls:
        actual = transformed(model, x)
    assert not calls.kernels
    with TorchCalls() as calls:
        of_kernel = expected(model, x)
    assert sum(calls.kernels.values()) == 1
    assert_same(actual, of_kernel)


# Subclasses of built-in cells


class HalfStep(LSTMCell):
    """Halves each new hidden state."""

    def step(self, projected_t, state):
        _, (h, c) = super().step(projected_t, state)
        return h / 2, LSTMCellState(h / 2, c)


class HalfStepInherited(HalfStep):
    pass


class Halving:
    """A mixin that is not a cell."""

    def step(self, projected_t, state):
        h, _ = super().step(projected_t, state)
        return h / 2, CellState(h / 2)


class HalfStepOfMixin(Halving, GRUCell):
    pass


class OtherProject(GRUCell):
    def project(self, x):
        return super().project(x.abs())


class NoUnroll(LSTMCell):
    def unroll(self, x, state, lengths):
        return NotImplemented

    unroll_layers = Cell.unroll_layers


class HalfUnroll(HalfStep):
    """Has an `unroll` for its own step, and counts the calls."""

    unrolled = 0

    def unroll(self, x, state, lengths):
        self.unrolled += 1
        outputs, states = [], [state]
        for projected_t in self.project(x).unbind():
            output, after = self.step(projected_t, states[-1])
            outputs.append(output)
            states.append(after)
        return torch.stack(outputs), states[-1] if lengths is None else self.ends(states, lengths)

    def ends(self, states, lengths):
        h, c = (torch.stack(part) for part in zip(*states, strict=True))
        batch = torch.arange(len(lengths))
        return LSTMCellState(h[lengths, batch], c[lengths, batch])


class OnlyUnroll:
    """A mixin with an `unroll` that belongs to no step."""

    def unroll(self, x, state, lengths):
        return pytest.fail("an unroll without a step was called")


class Renamed(GRUCell):
    """Changes nothing."""


def model_of(cell, **changes):
    with register_kind(cell_kind(cell, name="derived", summary="Made for one test.")) as kind:
        return small_model(kind.name, output_size=None, readout="all", **changes)


def by_hand(cell, x):
    """Run one layer, one call of the cell after another."""
    outputs, state = [], None
    for x_t in x.unbind(1):
        output, state = cell(x_t, state)
        outputs.append(output)
    return torch.stack(outputs, dim=1), (state,)


@pytest.mark.parametrize("derived", [HalfStep, HalfStepInherited, HalfStepOfMixin, OtherProject, NoUnroll])
@pytest.mark.parametrize("changes", [{}, {"hidden_size": (4, 6)}], ids=["one_size", "sizes"])
def test_subclass_with_another_step_runs_the_step_loop(derived, changes):
    model, x = model_of(derived, **changes), small_input()
    actual, calls = counted(model, x)
    assert not calls.kernels
    first, _ = by_hand(model.backbone.cells[0], x)
    expected, _ = by_hand(model.backbone.cells[1], first)
    assert_same(actual[0], expected)


@directions
@with_or_without_lengths
def test_subclass_that_overrides_step_and_unroll_runs_its_own_unroll(bidirectional, lengths):
    model, x = model_of(HalfUnroll, bidirectional=bidirectional), small_input()
    arguments = (x, random_state(model), lengths)
    fused, calls = counted(model, *arguments)
    assert not calls.kernels
    assert [cell.unrolled for cell in model.backbone.cells] == [1] * len(model.backbone.cells)
    assert_same(fused, in_step_loop(model, *arguments))


@pytest.mark.parametrize("method", ["step", "project"])
def test_patched_class_runs_the_step_loop_until_restored(method, monkeypatch):
    model, x = small_model("gru_cell"), small_input()
    monkeypatch.setattr(GRUCell, method, functools.partialmethod(getattr(GRUCell, method)))
    _, calls = counted(model, x)
    assert not calls.kernels
    monkeypatch.undo()
    _, calls = counted(model, x)
    assert calls.kernels == {"gru": 1}


def test_class_with_a_patched_unroll_runs_the_step_loop(monkeypatch):
    model, x = small_model("gru_cell", options={"residual": True}), small_input()
    monkeypatch.setattr(GRUCell, "unroll", lambda *_: pytest.fail("the patched unroll was called"))
    _, calls = counted(model, x)
    assert not calls.kernels


class UnrollOfAMixin(OnlyUnroll, LSTMCell):
    pass


def test_unroll_of_a_class_without_step_is_not_used():
    _, calls = counted(model_of(UnrollOfAMixin), small_input())
    assert not calls.kernels


class RestoredStep(HalfStep):
    step = LSTMCell.step


def test_subclass_that_restores_the_step_runs_the_kernel():
    assert_fused_equals_step_loop(model_of(RestoredStep), small_input(), None, LENGTHS)


def test_overridden_unroll_disables_the_inherited_unroll_layers():
    class OwnUnroll(GRUCell):
        def unroll(self, x, state, lengths):
            return NotImplemented

    _, calls = counted(model_of(OwnUnroll), small_input())
    assert not calls.kernels


class StartsAtOne(GRUCell):
    def initial_state(self, batch_size, **where):
        return CellState(super().initial_state(batch_size, **where).h + 1)


@directions
def test_overridden_initial_state_reaches_the_kernel(bidirectional):
    model, x = model_of(StartsAtOne, bidirectional=bidirectional), small_input()
    assert model.initial_state(1)[0].h.eq(1).all()
    (output, *_), calls = counted(model, x)
    assert calls.kernels == {"gru": 1}
    assert_same(output, in_step_loop(model, x)[0])
    assert_same(output, model(x, model.initial_state(len(x))))


def test_subclass_without_changes_runs_the_kernel():
    assert_fused_equals_step_loop(model_of(Renamed), small_input(), None, LENGTHS)


def test_subclassing_does_not_affect_other_classes():
    class Base(LSTMCell):
        step = LSTMCell.step
        unroll = LSTMCell.unroll
        unroll_layers = LSTMCell.unroll_layers

    class Changed(Base):
        step = HalfStep.step

    class Unchanged(Base):
        pass

    assert issubclass(Base, Base)
    assert not issubclass(Base, Changed)
    assert_fused_equals_step_loop(model_of(Unchanged), small_input())


def test_cell_of_another_class_in_a_stack_runs_the_step_loop():
    model, x = small_model("lstm_cell", output_size=None, num_layers=3), small_input()
    model.backbone.cells[1] = HalfStep(6, 6, dtype=torch.float64)
    _, calls = counted(model, x, random_state(model), LENGTHS)
    assert calls.kernels == {"lstm": 2}
    assert calls.products == 1 + TIME


@fused_kinds
@pytest.mark.parametrize("index", [0, 1, 2])
def test_cells_with_and_without_bias_in_one_stack(fused, index):
    model, x = small_model(fused, output_size=None, num_layers=3), small_input()
    replaced = model.backbone.cells[index]
    model.backbone.cells[index] = type(replaced)(replaced.input_size, 6, bias=False, dtype=torch.float64)
    assert_fused_equals_step_loop(model, x, random_state(model), LENGTHS)


# A third-party cell with executors


class SumCell(Cell):
    """A running sum, h_t = h_{t-1} + W x_t; records the calls of its executors."""

    calls = ()

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight = self.new_parameter(hidden_size, input_size)

    def project(self, x):
        return F.linear(x, self.weight)

    def step(self, projected_t, state):
        h = state.h + projected_t
        return h, CellState(h)

    def unroll(self, x, state, lengths):
        SumCell.calls += (("unroll", x, lengths, 0.0),)
        return self.summed(x, state, lengths)

    @staticmethod
    def unroll_layers(cells, x, states, lengths, *, directions, dropout):
        SumCell.calls += (("unroll_layers", x, lengths, dropout),)
        if directions == 2 or dropout > 0:
            return NotImplemented
        final = []
        for cell, state in zip(cells, states, strict=True):
            x, after = cell.summed(x, state, lengths)
            final.append(after)
        return x, tuple(final)

    def summed(self, x, state, lengths):
        sums = state.h + self.project(x).cumsum(0)
        ends = sums[-1] if lengths is None else sums[lengths - 1, torch.arange(len(lengths))]
        return sums, CellState(ends)


@pytest.fixture
def sums(monkeypatch):
    """Return a function that builds models of `SumCell`, without recorded calls."""
    monkeypatch.setattr(SumCell, "calls", ())
    with register_kind(cell_kind(SumCell, name="sums", summary="Running sums.")) as kind:
        yield lambda **changes: small_model(kind.name, output_size=None, readout="all", **changes)


def called_names():
    return [name for name, *_ in SumCell.calls]


@directions
@with_or_without_lengths
@pytest.mark.parametrize(
    "changes",
    [{}, {"options": {"residual": True}}, {"hidden_size": (4, 6)}, {"num_layers": 1}],
    ids=["two_layers", "residual", "sizes", "one_layer"],
)
def test_executors_of_a_third_party_equal_the_step_loop(sums, bidirectional, lengths, changes):
    model, x = sums(bidirectional=bidirectional, **changes), small_input()
    arguments = (x, random_state(model), lengths)
    fused = with_gradients(model, *arguments)
    called = called_names()
    assert called, "no executor was called"
    assert_same(fused, in_step_loop(model, *arguments))
    assert called_names() == called, "the step loop called an executor"


def test_unroll_layers_is_tried_first(sums):
    sums()(small_input())
    assert called_names() == ["unroll_layers"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bidirectional": True}, ["unroll_layers"] + ["unroll"] * 4),
        ({"dropout": 0.5}, ["unroll_layers"] + ["unroll"] * 2),
        ({"options": {"residual": True}}, ["unroll"] * 2),
        ({"options": {"zoneout": 0.5}}, []),
    ],
    ids=["declined_directions", "declined_dropout", "residual", "zoneout"],
)
def test_unroll_is_tried_next(sums, changes, expected):
    sums(**changes)(small_input())
    assert called_names() == expected


@pytest.mark.parametrize(("training", "expected"), [(True, 0.5), (False, 0.0)])
def test_executor_gets_the_effective_dropout(sums, training, expected):
    sums(dropout=0.5).train(training)(small_input())
    assert SumCell.calls[0][-1] == expected


@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
@directions
def test_executor_gets_time_first_and_lengths_of_at_least_one(sums, batch_first, bidirectional):
    model = sums(batch_first=batch_first, bidirectional=bidirectional, num_layers=1)
    x = small_input(batch_first=batch_first)
    model(x, lengths=LENGTHS)
    expected = (x.transpose(0, 1) if batch_first else x).masked_fill(
        torch.arange(TIME)[:, None, None] >= LENGTHS[:, None], 0
    )
    for name, given, lengths, _ in SumCell.calls[: 2 if bidirectional else 1]:
        assert lengths.tolist() == [5, 1, 1, 3], name
        assert torch.equal(given, expected), name
    assert all(given.shape == (TIME, BATCH, INPUT_SIZE) for _, given, *_ in SumCell.calls)


def test_executor_gets_reversed_sequences_for_the_reverse_direction(sums):
    """Each sequence is reversed within its own length."""
    model, x = sums(bidirectional=True, num_layers=1), small_input()
    model(x, lengths=LENGTHS)
    _, given, _, _ = SumCell.calls[-1]
    for index, length in enumerate(LENGTHS.tolist()):
        assert torch.equal(given[:length, index], x[index, :length].flip(0))
