"""`rnnkit export`, and `rnnkit show` of the files that it writes."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from rnnkit import RecurrentSpec, build_model, load_model, save_model
from tests.helpers.commands import run

# has onnxruntime, and neither torch nor rnnkit
DEPLOYED = """
import sys
sys.modules["torch"] = sys.modules["rnnkit"] = None
import numpy, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
y, *_ = session.run(None, {"x": numpy.load("x.npy"), "lengths": numpy.array([9, 0, 4])})
numpy.save("y.npy", y)
"""


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, output_size=2)
    save_model(build_model(spec), "model.safetensors")
    return tmp_path


@torch.no_grad()
def test_an_exported_model_runs_without_torch(saved):
    result = run("export", "model.safetensors", "model.onnx", "--lengths")
    assert result.exit_code == 0
    assert "model.onnx: x, lengths -> y\n" in result.stdout
    assert "LSTM" in result.stdout
    x = torch.randn(3, 9, 3)
    np.save("x.npy", x.numpy())
    subprocess.run([sys.executable, "-c", DEPLOYED], check=True, cwd=saved)
    y = torch.from_numpy(np.load("y.npy"))
    torch.testing.assert_close(y, load_model("model.safetensors").eval()(x, lengths=[9, 0, 4]))

    shown = run("show", "model.onnx")
    assert "  lengths: int64, (batch,)\n" in shown.stdout
    assert "  hidden_size: 4\n" in shown.stdout
    bold = re.findall(r"\x1b\[1m\n?(.*)\x1b", run("show", "model.onnx", FORCE_COLOR="1", NO_COLOR="").stdout)
    assert bold == ["model.onnx", "Inputs", "Outputs", "Spec"]
    facts = json.loads(run("show", "model.onnx", "--json").stdout)
    assert facts["spec"]["kind"] == "lstm"
    assert facts["inputs"][0] == {"name": "x", "dtype": "float32", "shape": ["batch", "time", 3]}


@torch.no_grad()
def test_a_program_of_torch(saved):
    result = run("export", "model.safetensors", "model.pt2", "--state", "--no-native")
    assert "model.pt2: x, state_h_n, state_c_n -> y, state_out.h_n, state_out.c_n\n" in result.stdout
    code = """
import sys
sys.modules["rnnkit"] = sys.modules["rnnkit_builtin"] = None
import torch
program = torch.export.load("model.pt2").module()
print(program(torch.ones(2, 9, 3), torch.zeros(1, 2, 4), torch.zeros(1, 2, 4))[0].tolist())
"""
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    expected = load_model("model.safetensors").eval()(torch.ones(2, 9, 3))
    torch.testing.assert_close(torch.tensor(json.loads(printed)), expected)


def test_a_program_with_an_operator_of_rnnkit_names_what_loads_it(saved):
    assert "rnnkit.get_kind('lstm')" in run("export", "model.safetensors", "model.pt2", width=200).stdout


def test_wrong_usage(saved):
    assert "must end in .onnx or .pt2" in run("export", "model.safetensors", "model.txt").stderr
    assert "--int8 and --opset are for .onnx files" in run("export", "model.safetensors", "m.pt2", "--int8").stderr
    assert run("export", "missing.safetensors", "model.onnx").exit_code == 1
    failed = run("export", "model.safetensors", "model.onnx", "--opset", "17")
    assert (failed.exit_code, failed.stderr) == (1, "Error: opset must be at least 18, but is 17\n")
    assert run("show", "missing.onnx").exit_code == 1
