"""ONNX files: their outputs in ONNX Runtime, their content, and the errors of exports that fail."""

from collections import Counter

import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from docs.site.example_plugin import example_installed
from rnnkit import Cell, CellState, ExportError, RecurrentSpec, build_model, export_onnx, flatten_state, load_spec
from rnnkit.export._evaluation import evaluation
from rnnkit.export._flat_model import WholeSequences
from rnnkit.export._onnx_exact import TRANSLATIONS
from rnnkit.export._runtime import onnx_runner
from rnnkit.export._verification import verify
from rnnkit.files import read_onnx_metadata
from tests.helpers.models import small_model

NBRC = "rnnkit-nbrc/nbrc"
NATIVE = {"RNN", "GRU", "LSTM"}


def model_of(kind, **changes):
    with example_installed():
        return small_model(kind, dtype=torch.float32, **changes).eval()


def run(path, **inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    feed = {name: tensor.numpy() for name, tensor in inputs.items()}
    return dict(zip(names, map(torch.from_numpy, session.run(None, feed)), strict=True))


def operators(report):
    return {name: count for name, count in report.operators.items() if name in {*NATIVE, "Scan"}}


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("exported", "changes", "expected"),
    [
        ("rnn", {"bidirectional": True, "options": {"nonlinearity": "relu"}}, {"RNN": 2}),
        ("lstm", {"bidirectional": True, "readout": "all"}, {"LSTM": 2}),
        ("lstm", {"num_layers": 1, "bias": False, "options": {"proj_size": 4}}, {"Scan": 1}),
        ("mixed", {"readout": "max"}, {"LSTM": 1, "GRU": 1}),
        (NBRC, {"num_layers": 1, "bidirectional": True, "readout": "mean"}, {"Scan": 2}),
        ("gru_cell", {"batch_first": False, "num_embeddings": 7, "readout": "all"}, {"GRU": 2}),
    ],
)
@torch.no_grad()
def test_outputs_equal_those_of_each_sequence_alone(exported, changes, expected, tmp_path):
    model, path = model_of(exported, **changes), tmp_path / "model.onnx"
    report = export_onnx(model, path, lengths=True, state=True)
    assert operators(report) == expected
    assert report.difference < 1e-5
    flat = WholeSequences(model, lengths=True, state=True)
    inputs = dict(zip([each.name for each in flat.inputs], flat.random_inputs(6, 11), strict=True))
    found = run(path, **inputs)
    time_axis, batch_axis = (1, 0) if model.spec.batch_first else (0, 1)
    for i, length in enumerate(inputs["lengths"].tolist()):
        if length == 0:
            continue
        state = {name.partition(".")[2]: part for name, part in inputs.items() if name.startswith("state.")}
        x = inputs["x"].narrow(batch_axis, i, 1).narrow(time_axis, 0, length)
        y, final = model(x, model.select_state(model.restore_state(state), [i]), return_state=True)
        got = found["y"].narrow(batch_axis if model.readout.per_step else 0, i, 1)
        close(got.narrow(time_axis, 0, length) if model.readout.per_step else got, y)
        final_in_file = model.select_state(
            model.restore_state({name.partition(".")[2]: part for name, part in found.items() if name != "y"}), [i]
        )
        close(list(flatten_state(final_in_file).values()), list(flatten_state(final).values()))


@pytest.mark.parametrize(("exported", "changes"), [("lstm", {}), (NBRC, {"batch_first": False, "readout": "all"})])
@torch.no_grad()
def test_steps_equal_the_whole_sequence(exported, changes, tmp_path):
    model, path = model_of(exported, **changes), tmp_path / "step.onnx"
    report = export_onnx(model, path, step=True)
    assert "Scan" not in report.operators
    x = torch.randn(2, 5, 3)
    state = {f"state.{name}": part for name, part in flatten_state(model.initial_state(2)).items()}
    for t in range(5):
        found = run(path, x_t=x[:, t], **state)
        state = {name.replace("state_out", "state"): part for name, part in found.items() if name != "y"}
    y = model(x if model.spec.batch_first else x.transpose(0, 1))
    close(found["y"], y if model.spec.batch_first else y[-1])


@pytest.fixture(scope="module")
def gru(tmp_path_factory):
    """An exported model, and its file."""
    path = tmp_path_factory.mktemp("gru") / "model.onnx"
    torch.manual_seed(0)
    model = small_model("gru", dtype=torch.float32, bidirectional=True, num_layers=1)
    export_onnx(model, path, lengths=True, state=True)
    return model, path


def swap_gates(file):
    weight = next(each for each in file.graph.initializer if list(each.dims) == [2, 18, 6])
    array = onnx.numpy_helper.to_array(weight).reshape(2, 3, 6, 6)[:, [1, 0, 2]].reshape(2, 18, 6)
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))


def multiply_after_the_reset(file):
    node = next(each for each in file.graph.node if each.op_type == "GRU")
    next(each for each in node.attribute if each.name == "linear_before_reset").i = 0


def lose_states_of_empty_sequences(file):
    where = next(each for each in file.graph.node if "state_out.h_n" in each.output)
    assert where.op_type == "Where"
    where.CopyFrom(onnx.helper.make_node("Identity", [where.input[2]], list(where.output)))


def ignore_lengths(file):
    node = next(each for each in file.graph.node if each.op_type == "GRU")
    node.input[4] = ""


@pytest.mark.parametrize(
    "mutate", [swap_gates, multiply_after_the_reset, lose_states_of_empty_sequences, ignore_lengths]
)
def test_verification_catches(mutate, gru):
    model, path = gru
    file = onnx.load(path)
    mutate(file)
    flat = WholeSequences(model, lengths=True, state=True)
    with evaluation(model), pytest.raises(ExportError, match="differs from the model"):
        verify(flat, onnx_runner(file.SerializeToString(), flat), 1e-5, "The file")


def test_a_file_that_fails_verification_is_not_kept(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("rnnkit_builtin._onnx")._onnx._GATES, "gru", [0, 1, 2])
    path = tmp_path / "model.onnx"
    path.write_text("an older file")
    model = model_of("gru", num_layers=1)
    with pytest.raises(
        ExportError, match=r"The ONNX file differs from the model: by .* in 'y'.*the tolerance is 1.0e-05"
    ):
        export_onnx(model, path)
    assert path.read_text() == "an older file"
    assert list(tmp_path.iterdir()) == [path]


def test_content(gru):
    model, path = gru
    content, file = path.read_bytes(), onnx.load(path)
    onnx.checker.check_model(file, full_check=True)
    assert b".py" not in content
    assert len(content) < 4 * sum(each.numel() for each in model.parameters()) + 8_000
    # arranged weights are initializers
    assert {"Split", "Gather"} & {each.op_type for each in file.graph.node} <= {"Gather"}
    assert Counter(each.op_type for each in file.graph.node)["Unsqueeze"] < 8
    assert file.opset_import[0].version == 18
    shapes = {
        each.name: [size.dim_param or size.dim_value for size in each.type.tensor_type.shape.dim]
        for each in file.graph.input
    }
    assert shapes == {"x": ["batch", "time", 3], "lengths": ["batch"], "state.h_n": [2, "batch", 6]}


def test_metadata(gru):
    model, path = gru
    assert load_spec(path) == model.spec
    metadata = read_onnx_metadata(path)
    assert metadata.versions["torch"] == torch.__version__
    assert [(each.name, each.dtype, each.shape) for each in metadata.outputs] == [
        ("y", "float32", ("batch", 2)),
        ("state_out.h_n", "float32", (2, "batch", 6)),
    ]


def test_native_operators_can_be_left_out(tmp_path):
    report = export_onnx(model_of("gru", num_layers=1), tmp_path / "model.onnx", native=False, opset=20)
    assert operators(report) == {"Scan": 1}
    assert onnx.load(tmp_path / "model.onnx").opset_import[0].version == 20


def test_int8_quantizes_lstm_only(tmp_path):
    reports = {}
    for kind in ("lstm", "gru"):
        model = build_model(RecurrentSpec(kind=kind, input_size=8, hidden_size=64, output_size=10))
        reports[kind] = export_onnx(model, tmp_path / f"{kind}.onnx", int8=True)
    assert reports["lstm"].size < 0.4 * reports["lstm"].float_size
    assert reports["lstm"].operators["DynamicQuantizeLSTM"] == 1
    assert 1e-5 < reports["lstm"].difference < 0.03  # 0.13 if products of 8 bits overflow
    assert reports["gru"].size > 0.9 * reports["gru"].float_size
    assert load_spec(tmp_path / "lstm.onnx").kind == "lstm"


def test_the_model_is_not_changed(tmp_path):
    model = model_of("lstm", dropout=0.5).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export_onnx(model, tmp_path / "model.onnx", verify=False)
    assert model.backbone.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model(torch.randn(2, 3, 3)).sum().backward()
    assert all(each.grad is not None for each in model.parameters())


class StepCell(Cell):
    """A cell that adds its input to its state, with a fault of a subclass."""

    def step(self, projected_t, state):
        h = state.h + projected_t
        return h, CellState(h)


class RememberingCell(StepCell):
    """Keeps a tensor outside its state."""

    last = 0

    def step(self, projected_t, state):
        h = state.h + projected_t + self.last
        self.last = projected_t
        return h, CellState(h)


class BranchingCell(StepCell):
    """Branches on a value."""

    def step(self, projected_t, state):
        return super().step(projected_t if projected_t.sum() > 0 else -projected_t, state)


def kind_of(cell, name):
    from rnnkit import cell_kind, register_kind

    return register_kind(cell_kind(cell, name=name, summary="A faulty cell."))


@pytest.mark.parametrize("cell", [RememberingCell, BranchingCell])
def test_faulty_cells_are_refused(cell, tmp_path):
    with kind_of(cell, "faulty") as kind:
        model = build_model(RecurrentSpec(kind=kind.name, input_size=4, hidden_size=4))
    with pytest.raises(ExportError, match=r"cannot be traced|differs from the model"):
        export_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@torch.library.custom_op("rnnkit_tests::running_sum", mutates_args=())
def running_sum(x: torch.Tensor, h: torch.Tensor) -> list[torch.Tensor]:
    sums = x.cumsum(0) + h
    return [sums, sums[-1].clone()]


@running_sum.register_fake
def _(x, h):
    return [torch.empty_like(x), torch.empty_like(h)]


class SumCell(StepCell):
    """Calls an operator of its own."""

    def unroll(self, x, state, lengths):
        if lengths is not None:
            return NotImplemented
        sums, last = torch.ops.rnnkit_tests.running_sum(x, state.h)
        return sums, CellState(last)


class TranslatedSumCell(SumCell):
    """Has an ONNX translation of its operator."""

    step, unroll = StepCell.step, SumCell.unroll  # the class that defines the executor must define the step

    @classmethod
    def onnx_translations(cls):
        from onnxscript import opset18 as op

        def translate(x, h):
            sums = op.Add(op.CumSum(x, op.Constant(value_int=0)), h)
            return sums, op.Gather(sums, op.Constant(value_int=-1), axis=0)

        return {torch.ops.rnnkit_tests.running_sum.default: translate}


@pytest.mark.parametrize(("cell", "operator"), [(SumCell, "Scan"), (TranslatedSumCell, "CumSum")])
def test_an_operator_of_a_plugin(cell, operator, tmp_path):
    with kind_of(cell, "sum") as kind:
        model = build_model(RecurrentSpec(kind=kind.name, input_size=4, hidden_size=4))
    assert operator in export_onnx(model, tmp_path / "model.onnx", state=True).operators


def test_a_dtype_that_onnx_runtime_cannot_run(tmp_path):
    with pytest.raises(ExportError, match=r"export model.float\(\): the model is torch.float64"):
        export_onnx(small_model("gru", num_layers=1), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_parametrized_weights_export_as_steps(tmp_path):
    model = model_of("gru", num_layers=1)
    parametrizations.weight_norm(model.backbone.rnn, "weight_hh_l0")
    with pytest.raises(ExportError, match="recurrent weights no parametrizations"):
        export_onnx(model, tmp_path / "model.onnx")
    assert export_onnx(model, tmp_path / "model.onnx", native=False).difference < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "function", [torch.expm1, torch.log1p, nn.functional.logsigmoid], ids=lambda each: each.__name__
)
def test_translations_are_exact_near_zero(function, dtype):
    """Those of torch, such as exp(x) - 1, lose all digits there."""

    class Function(nn.Module):
        def forward(self, x):
            return function(x)

    x = torch.tensor([-50, -1, -1e-3, -1e-6, -1e-8, 0, 1e-9, 1e-7, 1e-3, 0.5, 1, 2, 10, 80], dtype=dtype)
    x = x[x > -1] if function is torch.log1p else x
    program = torch.onnx.export(
        torch.export.export(Function(), (x,)), dynamo=True, custom_translation_table=dict(TRANSLATIONS), verbose=False
    )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    [found] = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found).double(), function(x.double()), rtol=1e-6, atol=1e-30)
