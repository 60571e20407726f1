"""The examples of specs as arguments of a program, run as a user runs them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rnnkit import RecurrentSpec, load_spec

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def run(example, *arguments, folder):
    command = [sys.executable, EXAMPLES / f"{example}.py", *arguments]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, encoding="utf-8")


def accuracy_of(done, kind):
    assert done.returncode == 0, done.stderr
    return float(re.match(rf"{kind}: ([\d.]+)% of the digits read right\n", done.stdout)[1])


def error_of(done):
    """Return the error of a program that exited with a usage error."""
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
    assert "Traceback" not in done.stderr
    return re.search(r"^(?:\w+\.py: )?error: (.*)", done.stderr, re.DOTALL | re.MULTILINE)[1].splitlines()


# train_from_args.py


def test_argparse_example_trains_a_spec_with_overrides_and_saves_it(tmp_path):
    (tmp_path / "reader.yaml").write_text("kind: gru\nhidden_size: 16\n")
    done = run("train_from_args", "--spec", "reader.yaml", "hidden_size=32", "readout=mean", folder=tmp_path)
    assert accuracy_of(done, "gru") > 75
    used = RecurrentSpec(kind="gru", input_size=8, hidden_size=32, output_size=10, readout="mean")
    assert load_spec(tmp_path / "build/used.yaml") == used


def test_argparse_example_reports_problems_in_the_file_and_the_overrides(tmp_path):
    (tmp_path / "reader.toml").write_text("kind = 'gru'\nhidden_size = 0\n")
    done = run("train_from_args", "--spec", "reader.toml", "num_layer=2", "input_size=3", folder=tmp_path)
    assert error_of(done) == [
        "reader.toml:2: hidden_size: Input should be greater than or equal to 1, but is 0",
        "override 'input_size=8': override 'input_size=3' sets the same field: remove one of them",
        "override 'num_layer=2': A RecurrentSpec has no field 'num_layer'. Did you mean 'num_layers'?",
    ]
    assert (
        "No such file or directory: 'none.yaml'"
        in error_of(run("train_from_args", "--spec", "none.yaml", folder=tmp_path))[0]
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "reader.toml"]


# train_jsonargparse.py

MODEL = ["--model.kind", "lstm", "--model.hidden_size", "32", "--model.options", '{"proj_size": 16}']


def test_jsonargparse_example_trains_its_printed_config(tmp_path):
    config = run("train_jsonargparse", *MODEL, "--print_config", folder=tmp_path).stdout
    spec = RecurrentSpec.from_dict(yaml.safe_load(config)["model"])
    expected = {"input_size": 8, "output_size": 10, "hidden_size": 32, "options": {"proj_size": 16}}
    assert spec == RecurrentSpec(kind="lstm", **expected)
    (tmp_path / "train.yaml").write_text(config)
    assert accuracy_of(run("train_jsonargparse", "--config", "train.yaml", folder=tmp_path), "lstm") > 75


def test_jsonargparse_example_lists_fields_types_and_defaults(tmp_path):
    text = " ".join(run("train_jsonargparse", "--help", folder=tmp_path).stdout.split())
    assert "--model.num_layers NUM_LAYERS (type: int, default: 1)" in text
    assert "--model.readout READOUT" in text


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        pytest.param("--model.hidden_size=0", "Input should be greater than or equal to 1", id="value"),
        pytest.param('--model.options={"order": 2}', "The kind 'lstm' has no option 'order'.", id="option"),
    ],
)
def test_jsonargparse_example_reports_invalid_fields(argument, message, tmp_path):
    assert message in "\n".join(error_of(run("train_jsonargparse", *MODEL, argument, folder=tmp_path)))
