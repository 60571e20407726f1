"""Summaries match the real models, and allocate no weights."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rnnkit import (
    Backbone,
    BuildError,
    Cell,
    CellStack,
    CellState,
    InputError,
    Kind,
    RecurrentSpec,
    UnresolvedKindError,
    build_model,
    flatten_state,
    register_kind,
    save_spec,
)
from rnnkit.introspection.model_summary import count_spec_parameters, summarize_spec
from rnnkit.specs import UnresolvedOptions
from tests.helpers.commands import run as run_command
from tests.helpers.kinds import CORE
from tests.helpers.models import BATCH, small_spec

TIME = 7
READOUTS = ("last", "mean", "max", "all")
OWN_KINDS = CORE
GATES = {"rnn": 1, "rnn_cell": 1, "gru": 3, "gru_cell": 3, "lstm": 4, "lstm_cell": 4}


def real_model(spec, **where):
    return build_model(
        spec, dtype=torch.float64, **where
    ).eval()  # float64: torch then takes no kernel that hides products


def run(model, time=TIME, batch=1):
    shape = (batch, time) if model.spec.batch_first else (time, batch)
    with torch.no_grad():
        return model(torch.randn(*shape, model.spec.input_size, dtype=torch.float64))


def counted_by_torch(model, time=TIME):
    with FlopCounterMode(display=False) as counter:
        run(model, time)
    return counter.get_total_flops() // 2


def rows(summary):
    return {layer.name: layer for layer in summary.layers}


def summary_of(backbone, **fields):
    """The summary of a kind with this backbone."""
    with register_kind(Kind(name="mine", builder=backbone, summary="A test.")) as mine:
        return summarize_spec(
            RecurrentSpec(**{"kind": mine.name, "input_size": 3, "hidden_size": 4} | fields), time=TIME
        )


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="plain"),
        pytest.param({"bidirectional": True, "output_size": None, "batch_first": False}, id="other"),
        pytest.param({"bias": False, "num_layers": 1}, id="no-bias"),
    ],
)
def test_parameters_bytes_and_shapes_match_the_real_model(kind, fields):
    if kind not in OWN_KINDS and "bias" in fields:
        pytest.skip("a cell may have no choice about its biases")
    spec = small_spec(kind, **fields)
    model, summary = real_model(spec), summarize_spec(spec, dtype=torch.float64)
    weights = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
    assert summary.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert count_spec_parameters(spec) == summary.parameters
    assert summary.trainable_parameters == summary.parameters == sum(layer.parameters for layer in summary.layers)
    assert summary.weight_bytes == weights
    assert summary.training_bytes == weights + 3 * sum(parameter.nbytes for parameter in model.parameters())
    assert summary.state_bytes == sum(part.nbytes for part in flatten_state(model.initial_state(1)).values())
    assert summary.output_shape == as_words(run(model, batch=BATCH).shape)
    assert summary.dtype == "float64"
    assert summary.kind == kind


def as_words(shape):
    return str(tuple(shape)).replace(f"{BATCH}", "batch", 1).replace(f"{TIME}", "time", 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, None])
def test_memory_follows_the_dtype(dtype):
    summary = summarize_spec(small_spec("lstm"), dtype=dtype)
    size = (dtype or torch.get_default_dtype()).itemsize
    assert summary.weight_bytes == summary.parameters * size
    assert summary.training_bytes == summary.parameters * 4 * size
    assert summary.state_bytes == 2 * 2 * 6 * size  # h and c of both layers
    assert summary.multiply_adds == summarize_spec(small_spec("lstm")).multiply_adds


@pytest.mark.parametrize("readout", READOUTS)
def test_multiply_adds_match_torch_flop_counter(kind, readout):
    spec = small_spec(kind, readout=readout, bidirectional=True)
    model, summary = real_model(spec), summarize_spec(spec, time=TIME)
    counted = counted_by_torch(model)
    assert summary.multiply_adds == counted
    in_backbone = counted_by_torch(model, TIME + 1) - counted
    in_readout = 2 * 6 * 2 if readout == "all" else 0
    assert summary.multiply_adds_per_step == in_backbone - in_readout
    assert summary.multiply_adds == sum(layer.multiply_adds for layer in summary.layers)
    assert summary.note == ""


@pytest.mark.parametrize(
    ("directions", "readout", "time"), [(1, "last", 1), (1, "all", TIME), *((2, readout, TIME) for readout in READOUTS)]
)
@pytest.mark.parametrize("kind_of", GATES)
def test_multiply_adds_follow_the_formula(kind_of, directions, readout, time):
    inputs, hidden, outputs, gates = 10, 20, 5, GATES[kind_of]
    spec = RecurrentSpec(
        kind=kind_of,
        input_size=inputs,
        hidden_size=hidden,
        output_size=outputs,
        num_layers=2,
        bidirectional=directions == 2,
        readout=readout,
    )
    summary = summarize_spec(spec, time=time)
    features = directions * hidden
    first = directions * gates * hidden * (inputs + hidden)
    second = directions * gates * hidden * (features + hidden)
    last = features * outputs
    per_step = [first, second, last if readout == "all" else 0]
    whole = [first * time, second * time, last * (time if readout == "all" else 1)]
    assert [layer.multiply_adds_per_step for layer in summary.layers] == per_step
    assert [layer.multiply_adds for layer in summary.layers] == whole
    assert summary.multiply_adds_per_step == first + second
    assert summary.multiply_adds == sum(whole)


def test_tied_weights_count_where_they_multiply():
    """Tying shares a weight, but changes no product."""
    untied = RecurrentSpec(kind="gru_cell", num_embeddings=11, input_size=4, hidden_size=4, output_size=11)
    work = [
        [(layer.name, layer.multiply_adds_per_step, layer.multiply_adds) for layer in summarize_spec(spec).layers]
        for spec in (untied, replace(untied, tie_weights=True))
    ]
    assert work[0] == work[1]
    assert work[0][-1] == ("readout", 0, 4 * 11)


def test_projection_is_counted():
    spec = RecurrentSpec(kind="lstm", input_size=10, hidden_size=20, num_layers=2, options={"proj_size": 5})
    summary = summarize_spec(spec)
    first, second = (4 * 20 * (read + 5) + 20 * 5 for read in (10, 5))
    assert [layer.multiply_adds_per_step for layer in summary.layers] == [first, second, 0]
    assert [layer.features for layer in summary.layers] == [5, 5, 5]
    assert summary.multiply_adds_per_step == first + second


@pytest.mark.parametrize("module", [nn.RNN, nn.GRU, nn.LSTM])
def test_multiply_adds_match_torch_modules(module):
    theirs = module(3, 6, num_layers=3, bidirectional=True, batch_first=True, dtype=torch.float64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        theirs(torch.randn(1, TIME, 3, dtype=torch.float64))
    spec = small_spec(module.__name__.lower(), num_layers=3, bidirectional=True, output_size=None)
    assert 2 * summarize_spec(spec, time=TIME).multiply_adds == counter.get_total_flops()


@pytest.mark.parametrize(
    "options",
    [
        {"layer_norm": "output"},
        {"layer_norm": "gates"},
        {"zoneout": 0.1, "recurrent_dropout": 0.1},
        {"learn_initial_state": True, "residual": True},
        {"recurrent_init": "orthogonal", "forget_bias": 1.0},
    ],
    ids=str,
)
def test_stack_options_change_only_their_own_parameters(options):
    spec = small_spec("lstm_cell", bidirectional=True, dropout=0.1, options=options)
    model, summary = real_model(spec), summarize_spec(spec)
    assert [layer.name for layer in summary.layers] == ["layer 0", "layer 1", "readout"]
    assert summary.multiply_adds == summarize_spec(small_spec("lstm_cell", bidirectional=True)).multiply_adds
    for layer in (0, 1):
        own = [model.backbone.cells[2 * layer], model.backbone.cells[2 * layer + 1]]
        own += [model.backbone.norms[layer]] if options.get("layer_norm") == "output" else []
        if "learn_initial_state" in options:
            own += [model.backbone.initial[2 * layer], model.backbone.initial[2 * layer + 1]]
        in_layer = sum(parameter.numel() for module in own for parameter in module.parameters())
        assert rows(summary)[f"layer {layer}"].parameters == in_layer


def test_layers_of_a_stack_have_their_sizes_and_cells():
    spec = RecurrentSpec(
        kind="mixed", input_size=3, hidden_size=(4, 5, 6), num_layers=3, bidirectional=True, output_size=2
    )
    summary = summarize_spec(spec)
    assert [layer.shape for layer in summary.layers] == [
        "(batch, time, 8)",
        "(batch, time, 10)",
        "(batch, time, 12)",
        "(batch, 2)",
    ]
    assert [layer.module for layer in summary.layers] == [
        "LSTMCell, bidirectional",
        "GRUCell, bidirectional",
        "LSTMCell, bidirectional",
        "last, Linear",
    ]
    cells = real_model(spec).backbone.cells
    assert [layer.features for layer in summary.layers[:2]] == [cells[2].input_size, cells[4].input_size]


def test_layers_of_torch_kinds_have_their_parameters():
    spec = small_spec("gru", bidirectional=True, num_layers=3)
    parameters = dict(real_model(spec).backbone.rnn.named_parameters())
    for layer in range(3):
        own = sum(each.numel() for name, each in parameters.items() if f"_l{layer}" in name)
        assert rows(summarize_spec(spec))[f"layer {layer}"].parameters == own


@pytest.mark.parametrize("readout", READOUTS)
def test_readout_without_linear_layer_has_no_parameters(readout):
    readout_row = summarize_spec(small_spec("rnn", output_size=None, readout=readout)).layers[-1]
    assert (readout_row.name, readout_row.module) == ("readout", readout)
    assert (readout_row.parameters, readout_row.multiply_adds, readout_row.multiply_adds_per_step) == (0, 0, 0)
    assert readout_row.features == 6


def test_shapes_follow_batch_first():
    summary, usual = (summarize_spec(small_spec("rnn", batch_first=first)) for first in (False, True))
    assert summary.multiply_adds == usual.multiply_adds
    summary = summarize_spec(small_spec("rnn", batch_first=False, readout="all"))
    assert summary.input_shape == "(time, batch, 3)"
    assert [layer.shape for layer in summary.layers] == ["(time, batch, 6)"] * 2 + ["(time, batch, 2)"]


@pytest.mark.parametrize("of", OWN_KINDS)
def test_huge_model_is_summarized(of):
    spec = RecurrentSpec(kind=of, input_size=10, hidden_size=10**5, num_layers=3, output_size=1)
    summary = summarize_spec(spec)
    assert summary.weight_bytes > 10**11
    assert summary.multiply_adds_per_step > 5 * 10**10


def test_summary_does_not_change_the_random_state(kind):
    before = torch.get_rng_state()
    summarize_spec(small_spec(kind))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("time", [0, -1, 1.0, "10", None, True])
def test_invalid_time_raises(time):
    with pytest.raises(InputError, match="time must be an integer of at least 1"):
        summarize_spec(small_spec("rnn"), time=time)


def test_size_overflow_raises():
    with pytest.raises(BuildError, match=r"A model of kind 'lstm' cannot be built .*1000000000"):
        summarize_spec(RecurrentSpec(kind="lstm", input_size=1, hidden_size=10**9))


def test_too_many_layers_raise_before_building():
    with pytest.raises(BuildError, match="num_layers=100000 is too many"):
        summarize_spec(RecurrentSpec(kind="rnn", input_size=1, hidden_size=1, num_layers=10**5))


def test_maximum_number_of_layers_is_summarized(monkeypatch):
    monkeypatch.setattr("rnnkit.introspection.model_summary.MOST_LAYERS", 3)
    assert len(summarize_spec(small_spec("rnn", num_layers=3)).layers) == 3 + 1
    with pytest.raises(BuildError, match=r"num_layers=4 is too many for a summary, .*; use at most 3"):
        summarize_spec(small_spec("rnn", num_layers=4))


# Backbones of other structures, as third parties may write them


class Stateless(Backbone):
    """A backbone without a state; a subclass says what happens to `(batch, time, 3)`."""

    def __init__(self, spec: Any, *, device: Any, dtype: Any, features: int = 4) -> None:
        super().__init__(spec, features=features)
        self.where = {"device": device, "dtype": dtype}

    def state_shapes(self, batch_size: int) -> Any:
        return ()

    def run(self, x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
        return self.output(x), ()


class Convolution(Stateless):
    def __init__(self, spec, **where):
        super().__init__(spec, **where)
        self.conv = nn.Conv1d(3, 8, kernel_size=3, padding=1, **self.where)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 8, **self.where), nn.ReLU()) for _ in range(2))
        self.scale = nn.Parameter(torch.ones(8, **self.where))
        self.project = nn.Linear(8, 4, bias=False, **self.where)

    def output(self, x):
        hidden = self.conv(x.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden) * self.scale
        return self.project(hidden)


def test_modules_of_a_custom_backbone_are_layers():
    summary = summary_of(Convolution, output_size=2)
    assert [(layer.name, layer.module, layer.parameters, layer.multiply_adds_per_step) for layer in summary.layers] == [
        ("backbone", "Convolution", 8, 0),
        ("backbone.conv", "Conv1d", 8 * 3 * 3 + 8, 8 * 3 * 3),
        ("backbone.blocks.0", "Sequential", 8 * 8 + 8, 8 * 8),
        ("backbone.blocks.1", "Sequential", 8 * 8 + 8, 8 * 8),
        ("backbone.project", "Linear", 8 * 4, 8 * 4),
        ("readout", "last, Linear", 4 * 2 + 2, 0),
    ]
    assert [layer.features for layer in summary.layers] == [None, None, None, None, 4, 2]
    assert [layer.shape for layer in summary.layers] == [*[""] * 4, "(batch, time, 4)", "(batch, 2)"]
    assert summary.multiply_adds == TIME * (8 * 3 * 3 + 2 * 8 * 8 + 8 * 4) + 4 * 2


class CumulativeSum(Stateless):
    """Nothing is learned."""

    def __init__(self, spec, **where):
        super().__init__(spec, **where, features=3)

    def output(self, x):
        return x.cumsum(1)


def test_backbone_without_parameters_is_one_layer():
    summary = summary_of(CumulativeSum)
    assert [(layer.name, layer.module, layer.features) for layer in summary.layers] == [
        ("backbone", "CumulativeSum", 3),
        ("readout", "last", 3),
    ]
    assert (summary.parameters, summary.weight_bytes, summary.state_bytes, summary.multiply_adds) == (0, 0, 0, 0)


class Attention(Stateless):
    """Every step reads every other: the work grows with the square of time."""

    def __init__(self, spec, **where):
        super().__init__(spec, **where)
        self.read = nn.Linear(3, 4, bias=False, **self.where)

    def output(self, x):
        hidden = self.read(x)
        return torch.bmm(torch.softmax(torch.bmm(hidden, hidden.transpose(1, 2)), -1), hidden)


def test_multiply_adds_may_be_nonlinear_in_time():
    summary = summary_of(Attention)
    assert summary.multiply_adds == 2 * TIME**2 * 4 + TIME * 3 * 4
    assert summary.multiply_adds_per_step == 2 * 4 * ((TIME + 1) ** 2 - TIME**2) + 3 * 4


class TwoNetworks(Stateless):
    def __init__(self, spec, **where):
        super().__init__(spec, **where)
        self.rnn = nn.GRU(3, 5, num_layers=2, batch_first=True, **self.where)
        self.rnn2 = nn.LSTM(5, 2, bidirectional=True, batch_first=True, **self.where)

    def output(self, x):
        return self.rnn2(self.rnn(x)[0])[0]


def test_layers_of_several_networks_have_distinct_names():
    summary = summary_of(TwoNetworks)
    assert [(layer.name, layer.module, layer.multiply_adds_per_step) for layer in summary.layers[:-1]] == [
        ("backbone.rnn layer 0", "GRU", 3 * 5 * (3 + 5)),
        ("backbone.rnn layer 1", "GRU", 3 * 5 * (5 + 5)),
        ("backbone.rnn2 layer 0", "LSTM, bidirectional", 2 * 4 * 2 * (5 + 2)),
    ]


class Confusing(Stateless):
    """Its parts have the names of others, its weights are shared, normalized at each call, fixed, or buffers."""

    def __init__(self, spec, **where):
        super().__init__(spec, **where)
        self.readout = nn.Linear(3, 4, bias=False, **self.where)
        self.backbone = nn.Linear(4, 4, bias=False, **self.where)
        self.twin = self.backbone
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4, bias=False, **self.where))
        self.fixed = nn.Linear(4, 4, bias=False, **self.where).requires_grad_(False)
        self.reservoir = nn.Module()
        self.reservoir.register_buffer("weight", torch.ones(4, 4))  # wherever the model may be

    def output(self, x):
        x = self.twin(self.backbone(self.readout(x)))
        return self.fixed(self.normed(x)) @ self.reservoir.weight + self.reservoir.weight[0]


def test_shared_and_derived_weights_are_counted_once():
    summary = summary_of(Confusing, output_size=2)
    assert {layer.name: (layer.parameters, layer.multiply_adds_per_step) for layer in summary.layers} == {
        "backbone.readout": (12, 12),
        "backbone.backbone": (16, 32),
        "backbone.normed": (20, 16),
        "backbone.fixed": (16, 16),
        "backbone.reservoir": (0, 16),
        "readout": (10, 0),
    }
    assert summary.multiply_adds_per_step == 12 + 32 + 16 + 16 + 16
    assert (summary.parameters, summary.trainable_parameters) == (74, 58)
    assert summary.weight_bytes == 4 * (74 + 16)
    assert summary.training_bytes == 4 * (74 + 16) + 3 * 4 * 58


class Forgetful(Stateless):
    """Makes something, drops it, and makes something else, which gets the same memory."""

    def __init__(self, spec, **where):
        super().__init__(spec, **where)
        self.first = nn.Linear(3, 4, bias=False, **self.where)
        self.second = nn.Linear(4, 4, bias=False, **self.where)

    def output(self, x):
        hidden = self.first(x)
        for _ in range(10):
            self.second(hidden)
            ones = torch.ones(1, 4, 1, device=x.device)
            torch.bmm(ones, ones.transpose(1, 2))
        return hidden


def test_reused_memory_is_not_confused():
    first, second, _ = summary_of(Forgetful).layers
    assert (first.multiply_adds, second.multiply_adds) == (TIME * 3 * 4 + 10 * 4 * 4, TIME * 10 * 4 * 4)


class VectorCell(Cell):
    """Products of vectors and matrices, written in ways that torch's own counter does not count."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)

    def step(self, projected_t, state):
        rows = [
            torch.addmv(torch.mv(self.weight_ih, x), self.weight_hh, h)
            for x, h in zip(projected_t, state.h, strict=True)
        ]
        h = torch.stack(rows)
        return h, CellState(h)


class VectorStack(CellStack):
    """A stack with a parameter of its own."""

    def __init__(self, spec, **where):
        super().__init__(spec, [VectorCell] * spec.num_layers, **where)
        self.gain = nn.Parameter(torch.ones((), **where))


def test_vector_products_are_counted():
    summary = summary_of(VectorStack, num_layers=2)
    assert [(layer.name, layer.parameters, layer.multiply_adds_per_step) for layer in summary.layers] == [
        ("layer 0", 28, 28),
        ("layer 1", 32, 32),
        ("backbone", 1, 0),
        ("readout", 0, 0),
    ]


class OnRealDevicesOnly(Stateless):
    def __init__(self, spec, **where):
        super().__init__(spec, **where)
        self.read = nn.Linear(3, 4, **self.where)

    def output(self, x):
        return self.read(x) * (1 if x.sum().item() > 0 else 2)


def test_model_without_meta_support_has_no_multiply_adds():
    summary = summary_of(OnRealDevicesOnly)
    assert summary.parameters == 16
    assert (summary.multiply_adds, summary.multiply_adds_per_step) == (None, None)
    assert {(layer.multiply_adds, layer.multiply_adds_per_step) for layer in summary.layers} == {(None, None)}
    assert summary.note.startswith("Multiply-adds are unknown: the model does not run on the meta device (")


def test_unresolved_spec_names_the_plugin_to_install():
    options = UnresolvedOptions.of({}, plugin="rnnkit-nbrc==0.1.0")
    spec = RecurrentSpec(kind="rnnkit-nbrc/nbrc", input_size=1, hidden_size=2, options=options)
    with pytest.raises(UnresolvedKindError, match=r"rnnkit-nbrc==0\.1\.0"):
        summarize_spec(spec)


def raising(spec, *, device, dtype):
    raise ValueError("out of order")


class WithoutState(CumulativeSum):
    def state_shapes(self, batch_size):
        raise ValueError("out of order")


@pytest.mark.parametrize("broken", [raising, WithoutState])
def test_failing_plugin_is_named(broken):
    with pytest.raises(BuildError, match=r"A model of kind 'local/mine' cannot be built .*: ValueError: out of order"):
        summary_of(broken)


def test_as_text(tmp_path):
    for number, spec in enumerate([small_spec("lstm"), small_spec("gru", num_embeddings=9)]):
        file = tmp_path / f"{number}.yaml"
        save_spec(spec, file)
        printed = run_command("summary", file).stdout.replace("\u2500", "-")
        assert str(summarize_spec(spec)) == printed.rstrip("\n")
    with register_kind(Kind(name="unknown", builder=Unknown, summary="A test.")) as kind:
        assert (
            str(summarize_spec(small_spec(kind.name))).splitlines()[-1].startswith("Warning: Multiply-adds are unknown")
        )


class Unknown(Backbone):
    """A backbone that does not run on the meta device."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)

    def state_shapes(self, batch_size):
        return torch.Size((batch_size, 1))

    def run(self, x, state, lengths):
        return x.new_zeros(*x.shape[:2], self.features) * x.sum().item(), state
