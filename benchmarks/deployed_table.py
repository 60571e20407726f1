"""Print the figures of deployed models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.deployed import EAGER, LEFT_OUT, MODES, STEP_MODES, TRAINING_MODES

NOTES = (
    "forward, training: time ÷ that of the eager model. step: one step at batch size 1, µs (÷ torch.nn).",
    "CPU time on 1 thread, wall-clock time on 2; ~ disturbed measurement; ✗ failed. No thread of ONNX Runtime spins.",
)


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print the tables of whole sequences and of steps, the failures and the speed of the machine."""
    for what, modes in (("forward", MODES), ("training", TRAINING_MODES), ("step", STEP_MODES)):
        rows = _rows(record, what)
        if rows:
            console.print(_table(record, what, modes, rows))
    for failure in record["failures"]:
        place = f"{failure['what']}, {failure['kind']}, {failure['shape']}, threads: {failure['threads']}"
        console.print(f"✗ {place}: {failure['reason']}", highlight=False, markup=False)
    if _rows(record, "forward"):
        _show_notes(record, console)


def _show_notes(record: Mapping[str, Any], console: Console) -> None:
    left_out = [f"The shape {shape} is left out: {reason}." for shape, reason in LEFT_OUT.items()]
    gflops = ", ".join(f"{value} on {threads} thread(s)" for threads, value in record["matmul_gflops"].items())
    for note in (*NOTES, *left_out, f"float32 matrix products on this machine, GFLOP/s: {gflops}."):
        console.print(note, style="dim", highlight=False)


def _rows(record: Mapping[str, Any], what: str) -> list[tuple[str, str, int]]:
    results = [*record["results"], *record["failures"]]
    found = [(each["kind"], each["shape"], each["threads"]) for each in results if each["what"].startswith(f"{what}: ")]
    return list(dict.fromkeys(found))


def _table(record: Mapping[str, Any], what: str, modes: tuple[str, ...], rows: list[tuple[str, str, int]]) -> Table:
    unit, base = ("µs", "torch.nn") if what == "step" else ("ms", EAGER)
    table = Table(title=f"Deployed models: {what}", box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for name in ("kind", "shape", "threads", f"{base}, {unit}", *modes):
        table.add_column(name, justify="left" if name in ("kind", "shape") else "right", no_wrap=True)
    for kind, shape, threads in rows:
        found = [_figure(record, f"{what}: {mode}", kind, shape, threads) for mode in modes]
        bases = [figure["theirs"] for figure in found if figure]
        table.add_row(kind, shape, str(threads), f"{bases[0]:.3f}" if bases else "✗", *[_cell(what, f) for f in found])
    return table


def _figure(record: Mapping[str, Any], what: str, kind: str, shape: str, threads: int) -> dict[str, Any] | None:
    wanted = {"what": what, "kind": kind, "shape": shape, "threads": threads}
    return next((each for each in record["results"] if wanted.items() <= each.items()), None)


def _cell(what: str, figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "✗"
    mark = "" if figure["steady"] else "~"
    ratio = f"{mark}{figure['ratio']:.2f}"
    return ratio if what != "step" else f"{figure['ours']:.1f} ({ratio})"
