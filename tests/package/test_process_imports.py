"""The first call of a function leaves the process as it was, and does not import torch's compiler.

The compiler takes seconds to import, sets an environment variable that child processes inherit, and adds filters of
warnings. Later calls find it imported, so that each test needs a process that has called nothing yet.
"""

import json
import re
import subprocess
import sys
from importlib import import_module
from pkgutil import walk_packages

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

import rnnkit

SCRIPT = """
import json
import os
import sys
import warnings
from pathlib import Path

import torch

import rnnkit
from rnnkit import RecurrentSpec, build_model

folder = Path(sys.argv[1])
SPECS = [
    RecurrentSpec(kind=kind, input_size=4, hidden_size=5, output_size=1)
    for kind in ("lstm", "lstm_cell", "gru_cell", "mgu")
]
INITIALIZED = [  # by normal_, and by element-wise operators
    RecurrentSpec(kind=kind, input_size=4, hidden_size=5, output_size=1) for kind in ("fastgrnn", "rglru")
]


def train():
    for spec in SPECS:
        model = build_model(spec)
        model(torch.ones(2, 3, 4)).sum().backward()


def stream():
    for spec in SPECS:
        model = build_model(spec).eval()
        model.step(torch.ones(2, 4))


def save_load_verify():
    for spec in SPECS + INITIALIZED:
        rnnkit.save_model(build_model(spec), folder / "model.safetensors")
        rnnkit.load_model(folder / "model.safetensors")
        assert rnnkit.verify_model(folder / "model.safetensors").ok


def spec_files():
    rnnkit.save_spec(SPECS[0], folder / "spec.yaml")
    assert rnnkit.load_spec(folder / "spec.yaml") == SPECS[0]
    rnnkit.override_spec(SPECS[0], ["hidden_size=7"])


def notebook():
    model = build_model(SPECS[0])
    for each in (SPECS[0], model, rnnkit.get_kind("gru")):
        repr(each)
        if hasattr(each, "_repr_html_"):
            each._repr_html_()


ACTIONS = {
    "names": lambda: [rnnkit.list_kinds(), rnnkit.list_readouts(), rnnkit.list_executors(), rnnkit.resolve_kind("gru")],
    "schema": lambda: [rnnkit.spec_schema(), rnnkit.kinds_left_out()],
    "descriptions": lambda: [rnnkit.describe_spec(), rnnkit.describe_options("gru")],
    "spec files": spec_files,
    "build": lambda: [build_model(spec) for spec in SPECS],
    "build on meta": lambda: [build_model(spec, device="meta") for spec in SPECS],
    "summary": lambda: [rnnkit.summarize_spec(spec) for spec in SPECS],
    "train": train,
    "stream": stream,
    "save, load and verify": save_load_verify,
    "notebook": notebook,
}


def state():
    compiler = [name for name in sys.modules if name.partition(".")[2].startswith(("_dynamo", "_inductor"))]
    return {
        "environment": dict(os.environ),
        "warning filters": [repr(each) for each in warnings.filters],
        "compiler": len([name for name in compiler if name.startswith("torch.")]),
        "default dtype": str(torch.get_default_dtype()),
    }


before = state()
ACTIONS[sys.argv[2]]()
after = state()
print(json.dumps([name for name in before if before[name] != after[name]]))
"""
ACTIONS = re.findall(r'^    "(.*)": ', SCRIPT.partition("ACTIONS = {")[2].partition("}\n")[0], re.MULTILINE)
assert "train" in ACTIONS, "the names are read from the script"


# Not here: exports, which need the compiler; training by torch.optim, and operators on the meta device that are not in
# `rnnkit._meta_operators`: torch's own functions import it
@pytest.mark.parametrize("action", ACTIONS)
def test_the_first_call_leaves_the_process_as_it_was(action, tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), action]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_modes_do_not_import_the_compiler():
    for module in walk_packages(rnnkit.__path__, "rnnkit."):
        if not module.name.startswith(("rnnkit.testing", "rnnkit.__main__")):
            import_module(module.name)
    modes = [each for each in TorchDispatchMode.__subclasses__() if each.__module__.startswith("rnnkit.")]
    ours = {each for each in modes if not each.__module__.startswith("rnnkit.testing")}  # the kit compiles models
    assert {each.__name__ for each in ours} >= {"_Products", "_Recorder", "LocalRandomNumbers"}
    assert [each for each in ours if each._should_skip_dynamo()] == []
