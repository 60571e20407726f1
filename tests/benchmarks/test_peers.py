"""The comparisons with other libraries run, and say what reaches its bar."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import kernels
from benchmarks.peers import Row, operations
from benchmarks.shapes import Shape

ROOT = Path(__file__).parents[2]


def shown_by(module, file, *arguments):
    name = f"benchmarks.{module}"
    command = [sys.executable, "-W", "ignore", "-m", name, "--seconds", "0.01", "--json", file, *arguments]
    return subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout


def test_steps_are_measured(tmp_path):
    file = tmp_path / "step.json"
    shown = shown_by("step", file, "--kinds", "gru", "mingru")
    record = json.loads(file.read_text(encoding="utf-8"))
    assert [row["kind"] for row in record["results"]] == ["gru", "mingru"]
    assert all(row["microseconds"] > 0 and row["ratio"] > 0 for row in record["results"])
    assert record["shape"]["batch"] == record["shape"]["time"] == 1
    assert "mingru" in shown


def row_of(shape, what, *, arithmetic=0.1):
    return Row(shape, "gru", what, {"rnnkit": 1.0, "torch.nn": 4.0, "JAX": 3.0}, arithmetic)


def test_operations_of_two_layers():
    # per step and sequence: 3 gates of 5 features from 4 + 5 and from 5 + 5 features, a multiplication and an addition
    assert operations("gru", Shape(batch=2, time=3, input_size=4, hidden_size=5, num_layers=2)) == 2 * 6 * 15 * (9 + 10)


@pytest.mark.parametrize(
    ("row", "bar"),
    [
        (row_of("long", "forward"), 1.5),
        (row_of("long", "forward", arithmetic=2.0), 2.5),
        (row_of("seed", "forward"), 3.0),
        (row_of("seed", "training"), 2.1),
    ],
)
def test_bars(row, bar):
    assert row.bar == pytest.approx(bar)


def test_peers(tmp_path):
    shown = shown_by("peers", tmp_path / "peers.json", "--kinds", "lstm", "--shapes", "seed")
    forward, training = json.loads((tmp_path / "peers.json").read_text())["results"]
    assert {"rnnkit", "torch.nn", "ONNX Runtime"} <= forward["times"].keys()
    assert "ONNX Runtime" not in training["times"]
    assert shown.count("seed") == 2
    assert "ONNX Runtime" in shown
    assert "geometric mean" in shown


def test_cells_of_torchrecurrent(tmp_path):
    file = tmp_path / "cells.json"
    shown = shown_by("third_party", file, "--cells", "MGU", "PeepholeLSTM", "--shapes", "seed")
    assert [len(each["ratios"]) for each in json.loads(file.read_text())["results"]] == [2, 2]
    assert shown.count("kernels") == 2


def test_scans(tmp_path):
    file = tmp_path / "scan.json"
    shown = shown_by("scan", file, "--steps", "8", "70", "--lanes", "3")
    results = json.loads(file.read_text())["results"]
    assert [(each["steps"], each["what"]) for each in results] == [
        (steps, what) for steps in (8, 70) for what in ("forward", "training")
    ]
    assert all(each["times"].keys() == {"scan", "loop"} and each["speedup"] > 0 for each in results)
    assert shown.count("training") == 2


def test_kernels_are_shown_beside_the_prototype(capsys):
    kernels.show(Console(width=120), ["seed", "medium"], threads=1, seconds=0, kinds=["rnn_cell"])
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if "rnn_cell" in line]
    assert [row[-2].strip() for row in rows] == ["-", "-", "0.50", "0.57"]  # the prototype was not run at `seed`
