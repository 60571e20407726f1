"""The benchmark measures like with like, is not misled by a wrong reading, and says what missed its target."""

import json
import subprocess
import sys
from collections import Counter
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from matplotlib import image
from rich.console import Console

from benchmarks import deployed, growth, table
from benchmarks.by_hand import COUNTERPARTS, TORCH, TORCHRECURRENT
from benchmarks.figures import Figure
from benchmarks.kinds import RNNKIT, build
from benchmarks.memory import in_fresh_process
from benchmarks.shapes import SHAPES, Shape
from benchmarks.speed import data_of
from benchmarks.timing import in_turn, low

ROOT = Path(__file__).parents[2]
THREE_LAYERS = Shape(batch=3, time=4, input_size=5, hidden_size=6, num_layers=3)
PAIRS = [(kind, other) for kind, others in COUNTERPARTS.items() for other in others if other != TORCHRECURRENT]


def figure_of(**changes):
    return Figure(
        **{
            "what": "forward",
            "kind": "gru_cell",
            "shape": "medium",
            "against": TORCH,
            "unit": "ms",
            "threads": 1,
            "ours": 1234.5,
            "theirs": 1234.5,
            "calls": 9,
            **changes,
        }
    )


def printed(figures):
    console = Console(width=120, file=StringIO())
    table.show(figures, console)
    return console.file.getvalue()


@pytest.mark.parametrize(("name", "other"), PAIRS)
def test_both_sides_of_a_ratio_compute_the_same(name, other):
    x, _ = data_of(THREE_LAYERS)
    torch.testing.assert_close(build(other, name, THREE_LAYERS)(x), build(RNNKIT, name, THREE_LAYERS)(x))


def test_the_mgu_of_torchrecurrent_computes_the_same():
    pytest.importorskip(TORCHRECURRENT)
    ours, theirs = (build(side, "mgu", THREE_LAYERS) for side in (RNNKIT, TORCHRECURRENT))
    with torch.no_grad():
        for cell, other in zip(ours.backbone.cells, theirs.mgu.cells, strict=True):
            cell.weight_if.copy_(other.weight_ih.chunk(2)[0])
            cell.weight_in.copy_(other.weight_ih.chunk(2)[1])
            cell.weight_hf.copy_(other.weight_hh.chunk(2)[0])
            cell.weight_hn.copy_(other.weight_hh.chunk(2)[1])
            cell.bias_f.copy_((other.bias_ih + other.bias_hh).chunk(2)[0])
            cell.bias_n.copy_((other.bias_ih + other.bias_hh).chunk(2)[1])
    ours.readout.linear.load_state_dict(theirs.fc.state_dict())
    x, _ = data_of(THREE_LAYERS)
    torch.testing.assert_close(ours(x), theirs(x))


def test_two_impossible_readings_do_not_become_the_figure():
    assert 1 <= low([1.2, 0.001, 1.0, 1.1, 5.0, 0.002, 1.3]) <= 1.1


def test_no_side_always_comes_after_the_same_one():
    calls = []
    sides = {name: lambda name=name: calls.append(name) or 0.0 for name in "abc"}
    in_turn(sides, 0.001)
    assert {(one, other) for one in "abc" for other in "abc" if one != other} <= set(pairwise(calls))
    assert set(Counter(calls).values()) == {len(calls) / 3}


def test_a_loop_over_the_steps_is_seen_to_need_more_memory(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")  # torch's kernel
    one_kernel, force_step_loop = (
        in_fresh_process(RNNKIT, "gru_cell", "medium", *flags) for flags in ((), ("force_step_loop",))
    )
    assert force_step_loop > 1.2 * one_kernel


@pytest.mark.parametrize(("ratio", "marks"), [(1.049, 0), (1.051, 1)])
def test_a_missed_target_is_marked(ratio, marks):
    text = printed([figure_of(ours=ratio, theirs=1.0)])
    assert text.count("✗") == marks + 1  # one more explains it
    assert figure_of(ours=ratio, theirs=1.0).record()["missed"] == bool(marks)


def test_a_disturbed_ratio_says_nothing_of_its_target():
    disturbed = figure_of(ours=9.0, theirs=1.0, steady=False)
    assert "~9.00" in printed([disturbed])
    assert not disturbed.record()["missed"]


def test_nothing_is_cut_off_at_120_columns():
    each = [
        figure_of(what=what, kind=kind, shape=shape, against=other, threads=threads, theirs=100.0)
        for kind, others in COUNTERPARTS.items()
        for other in others
        for shape in SHAPES
        for what in ("forward", "training", "memory")
        for threads in (1, 2)
    ]
    once = [figure_of(what=what, shape="1000 plugins", against="importing its dependencies") for what in table.ONCE]
    text = printed(each + once)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("✗12.3") > 50


def test_a_tiny_run_writes_its_figures_and_a_picture(tmp_path):
    sizes = ["--kinds", "gru_cell", "mixed", "--shapes", "seed", "--seconds", "0", "--parts", "speed"]
    places = ["--json", tmp_path / "new/bench.json", "--picture", tmp_path / "bench.png"]
    subprocess.run([sys.executable, "-m", "benchmarks", *sizes, *places], check=True, cwd=ROOT, capture_output=True)

    record = json.loads((tmp_path / "new/bench.json").read_text())
    assert {"date", "processor", "cores", "torch", "python", "threads", "shapes"} <= set(record)
    assert {(r["kind"], r["what"], r["against"]) for r in record["results"] if r["threads"] == 1} == {
        (kind, what, other)
        for kind, other in [("gru_cell", "torch.nn"), ("gru_cell", "loop"), ("mixed", "torch.nn")]
        for what in ("forward", "training")
    }
    assert all(r["ratio"] == pytest.approx(r["ours"] / r["theirs"], rel=0.01) for r in record["results"])
    assert image.imread(tmp_path / "bench.png").std() > 0.01


def test_a_tiny_run_of_deployed_models_has_a_figure_or_a_reason_for_each_mode(tmp_path):
    pytest.importorskip("onnxruntime")
    sizes = ["--kinds", "gru", "--shapes", "seed", "--seconds", "0", "--parts", "deployed", "--threads", "1"]
    places = ["--json", tmp_path / "bench.json", "--picture", tmp_path / "bench.png"]
    command = [sys.executable, "-m", "benchmarks", *sizes, *places]
    shown = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout

    record = json.loads((tmp_path / "bench.json").read_text())
    reported = [each["what"] for each in (*record["results"], *record["failures"])]
    modes = {"forward": deployed.MODES, "training": deployed.TRAINING_MODES, "step": deployed.STEP_MODES}
    assert sorted(reported) == sorted(f"{what}: {mode}" for what, names in modes.items() for mode in names)
    assert [export["operators"]["GRU"] for export in record["exports"]] == [2]
    assert record["matmul_gflops"]["1"] > 0
    assert all(failure["reason"] in shown for failure in record["failures"])
    assert "GFLOP/s" in shown


def test_a_mode_that_fails_is_reported_with_its_reason():
    def fail():
        raise RuntimeError("no C++ compiler\ndetails")

    makers = {deployed.EAGER: lambda: lambda: None, deployed.COMPILED: fail, deployed.ONNX: lambda: lambda: None}
    options = {"threads": 1, "seconds": 0, "unit": "ms"}
    failure, figure = deployed._compare("forward", "gru", "seed", makers, deployed.EAGER, **options)
    assert failure.record()["reason"] == "RuntimeError: no C++ compiler"
    assert (failure.what, figure.what) == ("forward: compiled", "forward: ONNX Runtime")


def test_the_growth_of_every_kind_and_function_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(growth, "LAYERS", (1, 2))
    growth.main()
    lines = capsys.readouterr().out.splitlines()
    actions = ("build", "save", "load", "verify", "summarize a quarter")
    names = {f"{kind} {name}" for kind in growth.KINDS for name in actions}
    names |= {f"specs {name} {suffix}" for suffix in growth.SUFFIXES for name in ("save", "load")}
    assert {line.partition(",")[0] for line in lines} == names | {"specs load a wrong .toml"}
    assert all(" 1: 1.00, 2: " in line for line in lines)
