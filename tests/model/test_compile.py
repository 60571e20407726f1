"""`torch.compile` and `torch.export`: one graph for any batch and number of steps, and the results of eager mode."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize, prune

from rnnkit import Cell, CellState, StepError, cell_kind, register_kind
from tests.helpers.models import leaves, map_state, random_state, small_model, total

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's tracer warns about its own code and about each graph break

KERNELS = ["rnn", "lstm", "gru", "rnn_cell", "lstm_cell", "gru_cell", "mixed"]
# Stacks that torch's kernels do not run, so that a traced program has a `scan` for each layer and direction.
SCANNED = {
    "step_loop": {"kind": "rnn_cell"},
    "layer_norm": {"kind": "lstm_cell", "options": {"layer_norm": "gates"}},
    "zoneout": {"kind": "gru_cell", "options": {"zoneout": 0.3}},
    "recurrent_dropout": {"kind": "rnn_cell", "options": {"recurrent_dropout": 0.3}},
    "learned_state": {"kind": "gru_cell", "options": {"learn_initial_state": True, "zoneout": 0.3}},
}
SIZES = [(7, 5), (4, 8), (2, 9)]  # torch takes sizes that are equal in the first call for one size
NETWORKS = {
    **{kind: {"kind": kind, "bidirectional": True} for kind in KERNELS},
    "projection": {"kind": "lstm", "options": {"proj_size": 4}},
    "residual": {"kind": "gru_cell", "options": {"residual": True, "layer_norm": "output"}},
    "no_bias": {"kind": "gru", "bias": False, "batch_first": False, "readout": "all"},
    "tokens": {"kind": "lstm", "num_embeddings": 8},
    **{name: {"num_layers": 1, **fields} for name, fields in SCANNED.items()},
}


@pytest.fixture(autouse=True)
def _without_compiled_code():
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()


def model_of(name, *, training=False, **changes):
    model = small_model(**{**NETWORKS[name], **changes}).train(training)
    if name == "step_loop":
        model.backbone.force_step_loop = True
    return model


def example(model, batch, time):
    """Return input, state and lengths, of which one is 0."""
    spec = model.spec
    shape = (batch, time) if spec.batch_first else (time, batch)
    x = torch.randn(*shape, spec.input_size, dtype=model.dtype, requires_grad=True)
    if spec.num_embeddings:
        x = torch.randint(spec.num_embeddings, shape)
    return x, random_state(model, batch), torch.randint(1, time + 1, (batch,)).scatter(0, torch.tensor([1]), 0)


def with_gradients(model, function, x, state, lengths):
    state = state and map_state(lambda part: part.detach().clone().requires_grad_(), state)
    torch.manual_seed(0)  # for the masks of regularization
    y, final = function(x, state, lengths, return_state=True)
    wanted = [*([x] if x.requires_grad else []), *leaves(state or ()), *model.parameters()]
    return y, final, torch.autograd.grad(total(y, final), wanted, materialize_grads=True)


def assert_same(actual, expected):
    torch.testing.assert_close(leaves(actual), leaves(expected), rtol=1e-9, atol=1e-9)


def number_of_graphs():
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


# torch.compile


# In training where that differs; the check `compiles_in_one_graph` compiles each kind in training.
TRAINED = ["gru", "mixed", "zoneout", "recurrent_dropout", "learned_state"]
MODES = {f"{name}-evaluation": (name, False) for name in NETWORKS} | {
    f"{name}-training": (name, True) for name in TRAINED
}


@pytest.mark.parametrize(("name", "training"), MODES.values(), ids=MODES)
def test_one_graph_with_the_results_of_eager_mode(name, training):
    model = model_of(name, training=training)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=True)
    for batch, time in SIZES:
        arguments = example(model, batch, time)
        assert_same(with_gradients(model, compiled, *arguments), with_gradients(model, model, *arguments))
    assert number_of_graphs() == 1


@pytest.mark.parametrize("name", ["gru", "lstm_cell", "step_loop"])
def test_without_lengths_and_state(name):
    model = model_of(name)
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=True)
    for batch, time in SIZES:
        x, _, _ = example(model, batch, time)
        assert_same(with_gradients(model, compiled, x, None, None), with_gradients(model, model, x, None, None))
    assert number_of_graphs() == 1


@pytest.mark.parametrize("name", ["gru", "gru_cell"])
def test_dropout_between_layers(name):
    model = model_of(name, training=True, dropout=0.5, readout="all", output_size=None)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    x, *others = example(model, *SIZES[0])
    with torch.no_grad():
        outputs = torch.stack([compiled(x, *others) for _ in range(800)])
        # a layer above dropout is not linear, so that its mean is compared with that of eager mode
        expected = torch.stack([model(x, *others) for _ in range(800)])
    assert outputs.std(0).max() > 0
    torch.testing.assert_close(outputs.mean(0), expected.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(outputs.std(0), expected.std(0), rtol=0, atol=0.05)


def test_gradient_with_dropout_matches_a_numerical_one():
    model = model_of("gru", training=True, dropout=0.5)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    x, *others = example(model, *SIZES[0])

    def function(x):
        torch.manual_seed(0)
        return compiled(x, *others)

    assert torch.autograd.gradcheck(function, (x,), fast_mode=True)


@pytest.mark.parametrize("name", ["gru", "lstm_cell", "layer_norm"])
def test_step(name):
    model = model_of(name, bidirectional=False)
    step = torch.compile(model.step, backend="eager", fullgraph=True)
    x, state, _ = example(model, *SIZES[0])
    expected, final = model(x, state, return_state=True)
    for x_t in x.unbind(1):
        y, state = step(x_t, state)
    assert_same((y, state), (expected, final))


@pytest.mark.parametrize("name", [*KERNELS, "projection", "step_loop"])
def test_one_step_has_the_gradients_of_eager_mode(name):
    model = model_of(name, bidirectional=False, training=True)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for batch in (4, 6, 3):
        x, state, _ = example(model, batch, 1)
        actual, expected = (with_gradients(model, function, x, state, None) for function in (compiled, model))
        assert_same(actual, expected)
    assert number_of_graphs() <= 2  # the second one for any batch


@pytest.mark.parametrize("name", ["gru", "lstm", "lstm_cell"])
def test_one_step_with_autocast(name):
    model = model_of(name, bidirectional=False).float()
    step = torch.compile(model.step, backend="aot_eager", fullgraph=True)
    x, *_ = example(model, 3, 1)
    with torch.autocast("cpu", torch.bfloat16):
        actual, expected = step(x[:, 0]), model.step(x[:, 0])
    assert [part.dtype for part in leaves(actual)] == [part.dtype for part in leaves(expected)]
    torch.testing.assert_close(leaves(actual), leaves(expected), rtol=0, atol=0.02)


@pytest.mark.parametrize("name", ["gru", "step_loop"])
def test_mask(name):
    model = model_of(name)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    x, state, lengths = example(model, *SIZES[0])
    mask = torch.arange(x.shape[1]) < lengths[:, None]
    assert_same(compiled(x, state, mask=mask), model(x, state, lengths))


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("name", ["gru_cell", "learned_state"])
def test_restarts(name, bidirectional):
    model = model_of(name, bidirectional=bidirectional, readout="all", num_layers=2)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    x, state, lengths = example(model, *SIZES[0])
    arguments = {
        "state": None if bidirectional else state,
        "lengths": lengths,
        "restarts": torch.rand(x.shape[:2]) < 0.4,
        "return_state": True,
    }
    assert_same(compiled(x, **arguments), model(x, **arguments))


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("name", ["rnn", "gru", "projection", "no_bias"])
def test_restarts_of_kernels(name, bidirectional):
    model = model_of(name, training=True, bidirectional=bidirectional, readout="all")
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=True)
    for size in SIZES:
        x, state, lengths = example(model, *size)
        restarts = torch.rand(x.shape[:2]) < 0.4
        arguments = x, None if bidirectional else state, lengths
        actual, expected = (
            with_gradients(model, partial(function, restarts=restarts), *arguments) for function in (compiled, model)
        )
        assert_same(actual, expected)
    assert number_of_graphs() == 1
    x, *_ = example(model, *SIZES[0])
    nowhere = torch.zeros(x.shape[:2], dtype=torch.bool)
    assert_same(compiled(x, restarts=nowhere), model(x))


def test_restarts_of_a_changed_module():
    model = model_of("gru", bidirectional=False)
    wrap(model)
    x, _, lengths = example(model, *SIZES[0])
    arguments = {"restarts": torch.rand(x.shape[:2]) < 0.4, "return_state": True}
    compiled = torch.compile(model, backend="eager")
    assert_same(compiled(x, None, lengths, **arguments), model(x, None, lengths, **arguments))


def test_all_states():
    model = model_of("gru_cell")
    compiled = torch.compile(model.backbone.all_states, backend="eager", fullgraph=True)
    arguments = example(model, *SIZES[0])
    assert_same(compiled(*arguments), model.backbone.all_states(*arguments))


@pytest.mark.parametrize("name", ["gru", "lstm", "step_loop", "layer_norm"])
def test_autocast(name):
    model = model_of(name).float()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    x, *_ = example(model, *SIZES[0])
    with torch.autocast("cpu", torch.bfloat16):
        actual, expected = compiled(x), model(x)
    assert actual.dtype == expected.dtype
    torch.testing.assert_close(actual, expected, rtol=0, atol=0.02)


class NormCell(Cell):
    """A cell of a plugin: torch's own normalizations, and functions of the numbers that it holds."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, device=device, dtype=dtype)
        self.rate = 0.5

    def project(self, x):
        return F.linear(x, self.weight_ih)

    def step(self, projected_t, state):
        total = torch.add(projected_t, F.linear(state.h, self.weight_hh), alpha=self.rate)
        h = F.rms_norm(torch.tanh(self.norm(total)), (self.hidden_size,), eps=self.norm.eps)
        return h, CellState(h)


def test_normalization_in_a_cell_of_a_plugin():
    with register_kind(cell_kind(NormCell, name="norm", summary="A test.")) as kind:
        model = small_model(kind.name, num_layers=1)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=True)
    for size in SIZES:
        arguments = example(model, *size)
        assert_same(with_gradients(model, compiled, *arguments), with_gradients(model, model, *arguments))
    assert number_of_graphs() == 1
    before = model(*arguments)
    model.backbone.cells[0].rate = 2.0
    assert_same(compiled(*arguments), model(*arguments))
    assert not torch.allclose(model(*arguments), before)
    assert model.backbone.cells[0].rate == 2.0


def test_inductor():
    model = model_of("gru_cell").float()
    compiled = torch.compile(model, fullgraph=True, dynamic=True)
    for size in SIZES:
        x, *others = example(model, *size)
        actual, expected = (with_gradients(model, function, x, *others) for function in (compiled, model))
        torch.testing.assert_close(leaves(actual), leaves(expected), rtol=1e-4, atol=1e-5)


# Changes of a model: before and after the first compiled call


class Double(nn.Module):
    def forward(self, tensor):
        return 2 * tensor


def scaled(module, inputs, outputs):
    return outputs[0], outputs[1] * 2


class Wrapper(nn.Module):
    """A module of the user in place of `rnn`."""

    def __init__(self, rnn):
        super().__init__()
        self.inner = rnn

    def forward(self, x, state=None):
        output, final = self.inner(x, state)
        return output, final * 3


def wrap(model):
    model.backbone.rnn = Wrapper(model.backbone.rnn)


CHANGES = {
    "parametrization": lambda model: parametrize.register_parametrization(model.backbone.rnn, "weight_hh_l0", Double()),
    "hook": lambda model: model.backbone.rnn.register_forward_hook(scaled),
    "wrapper": wrap,
    "pruning": lambda model: prune.random_unstructured(model.backbone.rnn, "weight_hh_l0", 0.5),
    "parameter": lambda model: setattr(model.backbone.rnn, "weight_hh_l0", nn.Parameter(torch.randn(18, 6).double())),
    "dropout": lambda model: setattr(model.backbone.rnn, "dropout", 0.0),
    "weights": lambda model: model.load_state_dict({k: 2 * v for k, v in model.state_dict().items()}, assign=True),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("is_compiled", [False, True], ids=["before", "after"])
def test_changed_modules_are_called(change, is_compiled):
    model = model_of("gru", bidirectional=False)
    compiled = torch.compile(model, backend="eager")
    x, state, lengths = example(model, *SIZES[0])
    if is_compiled:
        compiled(x, state, lengths)
    before = model(x, state, lengths)
    CHANGES[change](model)
    assert_same(with_gradients(model, compiled, x, state, lengths), with_gradients(model, model, x, state, lengths))
    if change not in {"hook", "wrapper", "dropout"}:  # they change the state alone, or nothing in evaluation
        assert not torch.allclose(model(x, state, lengths), before)


def test_compiled_copy_has_its_own_weights(tmp_path):
    model = model_of("gru")
    torch.save(model, tmp_path / "model.pt")
    copy = torch.load(tmp_path / "model.pt", weights_only=False)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.mul_(2)
    x, *_ = example(model, *SIZES[0])
    assert_same(torch.compile(copy, backend="eager", fullgraph=True)(x), copy(x))
    assert not torch.allclose(copy(x), model(x))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_dynamic_quantization(name):
    model = model_of(name).float()
    quantized = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM, nn.GRU, nn.Linear})
    arguments = example(model, *SIZES[0])
    torch.testing.assert_close(quantized(*arguments), model(*arguments), rtol=0, atol=0.05)
    assert quantized.dtype == torch.float32
    assert torch.compile(quantized, backend="eager")(arguments[0]).shape == (7, 2)
    assert quantized.backbone._link_to_rnn.values is vars(quantized.backbone.rnn)  # its float weights are not kept


def test_dynamic_quantization_of_a_projection():
    model = model_of("projection").float()
    x, *others = example(model, *SIZES[0])
    expected = model(x, *others)
    with pytest.raises(StepError, match=r"does not support proj_size: leave nn\.LSTM out"):
        torch.ao.quantization.quantize_dynamic(model, {nn.LSTM})(x)
    readout_only = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
    torch.testing.assert_close(readout_only(x, *others), expected, rtol=0, atol=0.05)


def test_data_parallel_rnn():
    model = model_of("gru")
    arguments = example(model, *SIZES[0])
    expected = model(*arguments)
    model.backbone.rnn = nn.DataParallel(model.backbone.rnn)
    assert_same(model(*arguments), expected)
    assert model.dtype == torch.float64


# torch.export


class Flat(nn.Module):
    """A model with flat inputs and outputs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, lengths, *parts):
        remaining = iter(parts)
        state = map_state(lambda _: next(remaining), self.model.initial_state(1))
        y, final = self.model(x, state, lengths, return_state=True)
        return y, *leaves(final)


# The check `exports_with_free_sizes` exports the kinds of KERNELS without `strict`.
EXPORTS = {f"{name}-strict": (name, True) for name in NETWORKS} | {
    f"{name}-traced": (name, False) for name in NETWORKS if name not in KERNELS
}


@pytest.mark.parametrize(("name", "strict"), EXPORTS.values(), ids=EXPORTS)
def test_export_with_dynamic_batch_and_time(name, strict):
    model = model_of(name)
    flat = Flat(model).eval()
    x, state, lengths = example(model, *SIZES[0])
    batch, time = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("time", min=1, max=512)
    axes = leaves_of_axes(model.backbone.batch_axes())
    shapes = {
        "x": {0: batch, 1: time} if model.spec.batch_first else {0: time, 1: batch},
        "lengths": {0: batch},
        "parts": tuple({axis: batch} for axis in axes),
    }
    program = torch.export.export(flat, (x, lengths, *leaves(state)), dynamic_shapes=shapes, strict=strict).module()
    for size in [(2, 1), (5, 20)]:
        x, state, lengths = example(model, *size)
        assert_same(program(x, lengths, *leaves(state)), flat(x, lengths, *leaves(state)))


def leaves_of_axes(axes):
    return [leaf for part in axes for leaf in leaves_of_axes(part)] if isinstance(axes, tuple) else [axes]


class FromInitialState(nn.Module):
    """A model whose first state has the batch size of the input."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x, self.model.initial_state(x.shape[0]))


@pytest.mark.parametrize("strict", [False, True])
def test_initial_state_takes_the_batch_size_of_a_traced_program(strict):
    model = FromInitialState(small_model("gru")).eval()
    (first, *_), (second, *_) = (example(model.model, *sizes) for sizes in SIZES[:2])
    shapes = {"x": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}}
    exported = torch.export.export(model, (first,), dynamic_shapes=shapes, strict=strict).module()
    torch.testing.assert_close(exported(second), model(second))
