"""Names, requests that are refused, and the comparison with the model; nothing is traced here."""

import importlib.util
import subprocess
import sys

import pytest
import torch
from torch import nn

from rnnkit import ExportError, StepError, export_onnx, export_program
from rnnkit.export._evaluation import evaluation
from rnnkit.export._flat_model import SingleStep, WholeSequences
from rnnkit.export._verification import largest_difference, verify
from tests.helpers.models import small_model


def names(flat):
    return [each.name for each in flat.inputs], list(flat.outputs)


def test_names_of_inputs_and_outputs():
    model = small_model("lstm_cell")
    assert names(WholeSequences(model, lengths=False, state=False)) == (["x"], ["y"])
    assert names(WholeSequences(model, lengths=True, state=True)) == (
        ["x", "lengths", "state.0.h", "state.0.c", "state.1.h", "state.1.c"],
        ["y", "state_out.0.h", "state_out.0.c", "state_out.1.h", "state_out.1.c"],
    )
    assert names(SingleStep(small_model("gru"))) == (["x_t", "state.h_n"], ["y", "state_out.h_n"])


def test_a_flat_model_computes_what_the_model_does(kind):
    model = small_model(kind)
    flat = WholeSequences(model, lengths=True, state=True)
    x, lengths, *_ = inputs = flat.random_inputs(4, 6)
    assert lengths[:2].tolist() == [6, 0]
    assert x[1].isnan().all()
    y, *state = flat(*inputs)
    paths = [each.name.partition(".")[2] for each in flat.inputs[2:]]
    nested = model.restore_state(dict(zip(paths, inputs[2:], strict=True)))
    torch.testing.assert_close(y, model(x, nested, lengths))
    assert [part.shape for part in state] == [part.shape for part in inputs[2:]]
    assert all(part.abs().max() > 0 for part in inputs[2:])


def test_padding_of_token_ids_is_not_a_token():
    flat = WholeSequences(small_model("gru", num_embeddings=5), lengths=True, state=False)
    tokens, _ = flat.random_inputs(3, 4)
    assert tokens[1].tolist() == [-1] * 4


def test_evaluation_leaves_no_trace():
    model = small_model("lstm", dropout=0.5)
    model.readout.eval()
    modes = [each.training for each in model.modules()]
    with evaluation(model):
        assert not any(each.training for each in model.modules())
        assert not torch.is_grad_enabled()
    assert [each.training for each in model.modules()] == modes
    assert torch.is_grad_enabled()


def changed(change):
    """Return a model and an export of it whose outputs are changed."""
    flat = WholeSequences(small_model("gru").eval(), lengths=True, state=True)
    return flat, lambda inputs: [change(output) for output in flat(*inputs)]


@torch.no_grad()
def test_an_equal_export_has_no_difference():
    assert verify(*changed(lambda output: output), 1e-5, "The file") == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda output: output * 1.001,
        lambda output: output + torch.nan,
        lambda output: output.float(),
        lambda output: output[None],
        torch.zeros_like,
    ],
    ids=["values", "NaN", "dtype", "shape", "zeros"],
)
@torch.no_grad()
def test_a_different_export_is_refused(change):
    with pytest.raises(ExportError, match=r"The file differs from the model: by .* with batch=\d and time=\d"):
        verify(*changed(change), 1e-5, "The file")


@torch.no_grad()
def test_a_difference_is_relative_to_the_output():
    difference = largest_difference(*changed(lambda output: output * 1.01))
    assert difference.relative == pytest.approx(0.01)


@torch.no_grad()
def test_a_model_that_returns_nan_cannot_be_verified():
    flat, run = changed(lambda output: output)
    flat.model.readout.linear.bias.fill_(torch.nan)
    with pytest.raises(ExportError, match="'y' is not finite for random inputs"):
        verify(flat, run, 1e-5, "The file")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step": True, "lengths": True}, "leave out lengths and state"),
        ({"step": True, "state": True}, "leave out lengths and state"),
        ({"opset": 17}, "opset must be at least 18, but is 17"),
    ],
)
def test_requests_that_do_not_fit_together(arguments, message, tmp_path):
    with pytest.raises(ExportError, match=message):
        export_onnx(small_model("gru"), tmp_path / "model.onnx", **arguments)


@pytest.mark.parametrize("changes", [{"bidirectional": True}, {"readout": "mean"}])
def test_a_model_without_single_steps(changes, tmp_path):
    with pytest.raises(StepError, match=r"step\(\)"):
        export_onnx(small_model("gru", **changes), tmp_path / "model.onnx", step=True)


def test_a_wrong_suffix():
    with pytest.raises(ExportError, match=r"must end in .onnx, but is 'model.pt'"):
        export_onnx(small_model("gru"), "model.pt")


def test_other_modules_are_refused():
    with pytest.raises(ExportError, match="not 'Linear'"):
        export_program(nn.Linear(2, 3))
    with pytest.raises(ExportError, match="export its attribute '0', which is one"):
        export_program(nn.Sequential(small_model("gru")))
    with pytest.raises(ExportError, match="meta device"):
        export_program(small_model("gru").to("meta"))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["onnxscript"], r"'onnxscript' is not installed: run `pip install \"rnnkit\[onnx\]\"`"),
        (["onnx", "onnxscript"], "'onnx' and 'onnxscript' are not installed"),
        (["onnxruntime"], "or export without onnxruntime with verify=False"),
    ],
)
def test_missing_packages(missing, message, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr("rnnkit.export._extra.find_spec", lambda name: None if name in missing else find(name))
    with pytest.raises(ExportError, match=message):
        export_onnx(small_model("gru"), tmp_path / "model.onnx")


def test_importing_the_room_imports_no_compiler():
    code = "import sys, rnnkit.export, rnnkit_builtin.gru; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"onnx", "onnx_ir", "onnxscript", "onnxruntime", "torch._dynamo"}.isdisjoint(modules)


def test_exporting_does_not_disconnect_the_kernel():
    model = small_model("gru")
    export_program(model, verify=False)
    assert model.backbone._link_to_rnn.values is vars(model.backbone.rnn)
