"""A new universal option disables the fused paths; a fused path that ignores an option fails the kit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A new universal option: its field, and the place where it acts. No other module mentions it.
FIELD = ("    residual: bool = False\n", "    residual: bool = False\n    layer_scale: float = 1.0\n")
EFFECT = (
    "            output = self.norms[layer](output)\n",
    "            output = self.norms[layer](output)\n        output = output * self.options.layer_scale\n",
)
# The fault: the fused path of all layers claims to support the option.
CLAIM = ('    "learn_initial_state": _always,\n', '    "learn_initial_state": _always,\n    "layer_scale": _always,\n')

COMPARE = """
import torch
from rnnkit import RecurrentSpec, build_model
for kind in ("rnn_cell", "gru_cell", "lstm_cell", "mixed"):
    spec = RecurrentSpec(kind=kind, input_size=3, hidden_size=4, num_layers=2, options={"layer_scale": 2.0})
    model, x = build_model(spec, dtype=torch.float64), torch.randn(2, 5, 3, dtype=torch.float64)
    y = model(x)
    model.backbone.force_step_loop = True
    torch.testing.assert_close(y, model(x))
"""
CHECK = """
from rnnkit.testing import check_kind
from rnnkit.testing.kind_under_test import KindUnderTest
values = KindUnderTest("gru_cell").stack_options
# other tests run the check with the other options
KindUnderTest.stack_options = [each for each in values if "layer_scale" in each["options"]]
KindUnderTest.variants = [{}]
report = check_kind("gru_cell", only=["executors_equal_step_loop"])
print(report)
raise SystemExit(bool(report.failed))
"""


@pytest.fixture
def with_new_option(tmp_path):
    """Return a function that runs a program on a copy of the sources with a new universal option and more edits."""

    def run(program, *more):
        for root in ("registry", "plugins"):
            shutil.copytree(ROOT / root, tmp_path / root, ignore=shutil.ignore_patterns("__pycache__"))
        for module, (old, new) in (("options/options", FIELD), ("cells/stack", EFFECT), *more):
            file = tmp_path / "registry" / "rnnkit" / f"{module}.py"
            text = file.read_text(encoding="utf-8")
            assert text.count(old) == 1, (module, old)
            file.write_text(text.replace(old, new), encoding="utf-8")
        path = os.pathsep.join(str(tmp_path / root) for root in ("registry", "plugins"))
        command = [sys.executable, "-c", program]
        return subprocess.run(
            command, check=False, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
        )

    return run


def test_new_option_is_honoured_without_fused_support(with_new_option):
    finished = with_new_option(COMPARE)
    assert finished.returncode == 0, finished.stderr


def test_kit_finds_a_fused_path_that_ignores_an_option(with_new_option):
    finished = with_new_option(CHECK, ("cells/fused", CLAIM))
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert "layer_scale" in finished.stdout


def test_kit_passes_if_the_fused_paths_do_not_claim_the_option(with_new_option):
    finished = with_new_option(CHECK)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "passed  executors_equal_step_loop" in finished.stdout
