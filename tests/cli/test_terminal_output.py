"""Terminal output of every command, at 80 and at 120 columns, compared with files.

Accept an intended change with `UPDATE_TERMINAL_OUTPUT=1 pytest tests/cli/test_terminal_output.py`, and review the diff.
"""

import json
import os
import re
import shutil
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import torch

from rnnkit import RecurrentSpec, build_model
from rnnkit.catalog import Candidate, discovery
from rnnkit.cli import _doctor_runner, doctor
from rnnkit.cli.group import SUMMARIES
from rnnkit.files.checkpoint.checkpoint_file import save_model
from tests.helpers.checkpoint_files import edited
from tests.helpers.commands import run
from tests.helpers.plugins_on_disk import write_distribution

OUTPUT_FILES = Path(__file__).parent / "terminal_output"
HOOK = "@hookimpl\ndef register_kinds(register):\n    register(kind({name!r}, {fields}))\n"
NBRC = r"""summary="A bistable recurrent cell: each unit can hold one bit for any number of steps.", equation=(
    r"c_t &= \sigma(W_{ic} x_t + b_c + W_{hc} h_{t-1}) \\ h_t &= c_t \odot h_{t-1} + (1 - c_t) \odot \tilde{h}_t"
)"""
# distribution: name of its kind, source of its module
PLUGINS = {
    "acme-cells": ("nbrc", HOOK.format(name="nbrc", fields=NBRC)),
    "acme-lstm": ("lstm", HOOK.format(name="lstm", fields="")),
    "other-cells": ("nbrc", HOOK.format(name="nbrc", fields="")),
    "prints-a-banner": ("banner", "print('Welcome!')\n" + HOOK.format(name="banner", fields="")),
    "ends-its-process": ("over", "import os\n\nos._exit(3)"),
    "blocked-cells": ("off", HOOK.format(name="off", fields="")),
    "without-dependency": ("needy", "import no_such_dependency"),
}
FILES = {
    "model.yaml": "kind: lstm\ninput_size: 8\nhidden_size: 64\nnum_layers: 2\noutput_size: 10\ndropout: 0.1\n",
    "wrong.yaml": (
        "kind: lstm\ninput_size: 8\nhidden_size: 0\ndropout: 0.1\nbidirektional: true\noptions:\n  proj: 4\n"
    ),
    "wrong.toml": "kind = 'lstn'\ninput_size = 8\n",
    "wrong.json": '{"kind": "lstm",\n "input_size": 8,,\n',
}
NEW = "rnnkit-leaky-integrator"
COMMANDS = {
    "rnnkit": "",
    **{f"{name}-help": f"{name} --help" for name in SUMMARIES},
    "list": "list",
    "list-all": "list *cell* --all",
    "list-load": "list ?[bs]* --load",
    "list-nothing": "list lstn",
    "list-blocked": "list off",
    "show": "show lstm",
    "show-cell": "show rnn_cell",
    "show-plugin": "show acme-cells/nbrc",
    "show-unknown": "show lstn",
    "why": "why lstm",
    "why-ambiguous": "why nbrc",
    "why-blocked": "why off",
    "why-qualified": "why acme-cells/nbrc",
    "why-unknown": "why lstn",
    "doctor": "doctor",
    "doctor-one": "doctor without-dependency",
    "doctor-unknown": "doctor acme",
    "init": "init rnn",
    "init-toml": "init rnn --format toml",
    "init-unknown": "init lstn",
    "validate": "validate model.yaml",
    "validate-wrong": "validate model.yaml wrong.yaml wrong.toml wrong.json missing.yaml",
    "summary": "summary model.yaml",
    "summary-wide": "summary model.yaml kind=gru_cell bidirectional=true hidden_size=[64,32] readout=all --time 1000",
    "summary-model": "summary saved.safetensors --dtype bfloat16",
    "summary-wrong": "summary model.yaml hiden_size=3 dropout=2",
    "verify": "verify saved.safetensors",
    "verify-drifted": "verify drifted.safetensors",
    "verify-unreadable": "verify model.yaml",
    "check": "check gru --only fields_take_effect --only record_is_complete --only step_matches_equation",
    "check-broken": "check acme-cells/nbrc --only record --only output_shape",
    "check-unknown": "check gru --only pading_has_no_effect",
    "new-plugin": f"new-plugin {NEW} --kind leaky",
    "new-plugin-taken": "new-plugin my-cells --kind nbrc",
    "new-plugin-refused": "new-plugin Acme.Cells --kind lstm --directory nowhere",
}
# lines for other programs are not wrapped
READ_BY_PROGRAMS = ("Error:", "Warning:", "wrong", "missing", "override")


CONSTANT = {"seconds": 1.25, "torch_seconds": 1.0, "modules": 950}


@cache
def examined(distributions, timeout, **options):
    """The results of doctor, with constant times."""
    found = _doctor_runner.examine(distributions, timeout, **options)
    return [{name: CONSTANT.get(name, fact) if fact else fact for name, fact in each.items()} for each in found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with specs, models and plugins."""
    folder = tmp_path_factory.mktemp("outputs")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_models(folder)
    for distribution, (kind, source) in PLUGINS.items():
        module = f"outputs_{distribution.replace('-', '_')}"
        write_distribution(
            folder / module, distribution, module=module, source=source, entry_points=f"[rnnkit]\n{kind} = {module}\n"
        )
    return folder


def installed_here():
    return [each for each in metadata.distributions() if each.name in ["rnnkit", *PLUGINS]]


def write_models(folder):
    file = folder / "saved.safetensors"
    save_model(build_model(RecurrentSpec(kind="gru", input_size=3, hidden_size=4, output_size=2)), file)

    def of_version_1(_header, record):
        record["lock"] |= {"rnnkit": "1.0", "plugin": "rnnkit==1.0", "torch": "2.1.0"}

    def drifted(_header, record):
        record["lock"]["torch"] = "2.0.0"
        record["fingerprint"]["output"][0] = 1e9

    file.write_bytes(edited(file.read_bytes(), of_version_1))
    (folder / "drifted.safetensors").write_bytes(edited(file.read_bytes(), drifted))


@pytest.fixture(autouse=True)
def _in_folder(folder, monkeypatch):
    """Only the plugins of the folder are installed, with constant versions."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(discovery, "distributions", installed_here)
    for plugin in sorted(folder.glob("outputs_*")):
        monkeypatch.syspath_prepend(plugin)
    monkeypatch.setenv("RNNKIT_BLOCK_PLUGINS", "blocked-cells")
    monkeypatch.setattr(Candidate, "version", "1.0")
    monkeypatch.setattr("rnnkit.specs.provenance.__version__", "1.0")
    monkeypatch.setattr("rnnkit.files.checkpoint._verification.__version__", "1.0")
    monkeypatch.setattr(torch, "__version__", "2.1.0")
    monkeypatch.setattr(doctor, "_versions", lambda: {"Python": "3.14.0", "rnnkit": "1.0", "torch": "2.13.0"})
    monkeypatch.setattr(doctor, "examine", lambda names, timeout, **options: examined(tuple(names), timeout, **options))
    yield
    shutil.rmtree(NEW, ignore_errors=True)
    for name in [name for name in sys.modules if name.startswith("outputs_")]:
        del sys.modules[name]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_output_is_unchanged(name, width):
    result = run(*COMMANDS[name].split(), width=width)
    output = f"$ rnnkit {COMMANDS[name]}\n{result.output}"
    file = OUTPUT_FILES / f"{name}.{width}.txt"
    if os.environ.get("UPDATE_TERMINAL_OUTPUT") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(output, encoding="utf-8")
    assert file.exists(), f"This output is new. {__doc__}"
    assert output == file.read_text(encoding="utf-8"), f"This output has changed. {__doc__}"


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_output_fits_the_terminal(name, width):
    # `test_output_is_unchanged` compares the file with the command
    _command, *lines = (OUTPUT_FILES / f"{name}.{width}.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > width and not line.startswith(READ_BY_PROGRAMS)] == []


@pytest.mark.parametrize(
    "name", ["list", "list-all", "why", "why-ambiguous", "why-blocked", "summary", "summary-wide", "doctor"]
)
def test_table_values_are_in_the_json(name):
    output = run(*COMMANDS[name].split(), width=1000).stdout
    table = output[output.index("─\n") + 2 :].partition("\n\n")[0]
    cells = [cell.replace(",", "") for line in table.splitlines() for cell in re.split(r" {2,}", line)]
    facts = json.loads(run(*COMMANDS[name].split(), "--json").stdout)
    known = {str(leaf).replace(",", "") for leaf in leaves(facts)}
    known |= {str(entry_points_of(each)) for each in (facts["distributions"] if name == "doctor" else [])}
    assert cells
    assert {*cells} - known - {f"{seconds}0" for seconds in known} == set()


def entry_points_of(distribution):
    return sum(len(distribution[noun]) for noun in ("kinds", "readouts", "commands", "executors", "tasks"))


def leaves(value):
    """The leaves of plain data, and the lengths of its containers."""
    if not isinstance(value, dict | list):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return [len(value), *(leaf for part in parts for leaf in leaves(part))]


def test_every_output_file_has_a_command():
    assert {file.name.partition(".")[0] for file in OUTPUT_FILES.iterdir()} == set(COMMANDS)
