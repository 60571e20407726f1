"""Writes the tables of the page "Export and deploy": `python -m docs.site.export [--check]`.

`python -m benchmarks --parts deployed --seconds 1 --json docs/measured/export.json` measures the figures, which are
committed with their date and machine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from docs.site.generated import update

FOLDER = Path(__file__).parents[1] / "measured"
FIGURES, TABLE = FOLDER / "export.json", FOLDER / "export.md"
SHAPE = "medium"
KINDS = ("rnn", "gru", "lstm", "rnn_cell", "gru_cell", "lstm_cell", "mgu")
MODES = ("compiled", ".pt2", "ONNX Runtime", "ONNX Runtime, int8")
STEP_MODES = ("eager", "compiled", "ONNX Runtime")
_TRAINING = {"training: compiled": "compiled training"}
RECURRENT = ("RNN", "GRU", "LSTM", "Scan")
REMEASURE = "python -m benchmarks --parts deployed --seconds 1 --json docs/measured/export.json"


def text(record: dict[str, Any]) -> str:
    """Return the part of the page that is generated."""
    tables = (_files(record), _ratios(record), _steps(record))
    failures = [f"- {_failure(each)}" for each in record["failures"] if each["shape"] == SHAPE]
    failed = ["✗ failed:\n\n" + "\n".join(failures)] if failures else []
    parts = [*tables, *failed, _machine(record)]
    return "\n\n".join(parts) + "\n"


def _files(record: dict[str, Any]) -> str:
    heads = ("kind", "recurrent operators", "size", "int8 size", "largest difference", "with int8")
    rows = []
    for kind in KINDS:
        export = _find(record["exports"], kind=kind, shape=SHAPE)
        operators = [f"{count} {name}" for name, count in export["operators"].items() if name in RECURRENT]
        figures = [show(export[f"{which}{what}"]) for what, show in _FIGURES.items() for which in ("", "int8_")]
        rows.append((f"`{kind}`", ", ".join(operators), *figures))
    return _table(heads, rows, left=2)


def _ratios(record: dict[str, Any]) -> str:
    threads = sorted({each["threads"] for each in record["results"] if each["what"].startswith("forward: ")})
    columns = {f"forward: {mode}": mode for mode in MODES} | _TRAINING
    # older records do not contain training
    measured = {each["what"] for each in (*record["results"], *record["failures"])}
    columns = {what: head for what, head in columns.items() if what in measured or what not in _TRAINING}
    heads = [f"{head}, {count} thread{'s' * (count > 1)}" for count in threads for head in columns.values()]
    rows = [
        (f"`{kind}`", *(_ratio(record, what, kind, count) for count in threads for what in columns)) for kind in KINDS
    ]
    return "Time of a batch of sequences relative to the eager model; lower is faster:\n\n" + _table(
        ("kind", *heads), rows
    )


def _steps(record: dict[str, Any]) -> str:
    rows = []
    for kind in KINDS:
        found = [_figure(record, f"step: {mode}", kind, 1) for mode in STEP_MODES]
        bare = [f"{figure['theirs']:.0f}" for figure in found if figure][:1] or ["✗"]
        cells = [f"{figure['ours']:.0f} ({figure['ratio']:.2f})" if figure else "✗" for figure in found]
        rows.append((f"`{kind}`", *bare, *cells))
    heads = ("kind", "torch.nn", *STEP_MODES)
    introduction = (
        "Latency of one step at batch size 1 in microseconds, and in parentheses relative to torch.nn. The baseline is "
        "the module of torch.nn with one time step, or its cells; for `mgu`, those of GRU:"
    )
    return f"{introduction}\n\n{_table(heads, rows)}"


def _machine(record: dict[str, Any]) -> str:
    sizes = ", ".join(f"{name.removesuffix('_size')} {size}" for name, size in record["shapes"][SHAPE].items())
    gflops = " and ".join(
        f"{value:.0f} GFLOP/s on {count} thread{'s' * (count != '1')}"
        for count, value in record["matmul_gflops"].items()
    )
    return (
        f"Measured with {sizes.replace('num_layers', 'layers')}, on {record['date'][:10]}, on the processor "
        f"“{record['processor']}” with torch {record['torch'].partition('+')[0]} and rnnkit {record['rnnkit']}: CPU "
        f"time on one thread, wall-clock time on two, the modes of a kind interleaved. Matrix products reach "
        f"{gflops}. To measure again, run `{REMEASURE}`; see [the data](../measured/export.json)."
    )


def _find(records: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    """Return the only record with these values.

    Raises:
        LookupError: it is missing, or there are several.
    """
    found = [each for each in records if wanted.items() <= each.items()]
    if len(found) != 1:
        raise LookupError(f"{FIGURES.name} has {len(found)} records of {wanted}, and should have one: {REMEASURE}")
    return found[0]


def _figure(record: dict[str, Any], what: str, kind: str, threads: int) -> dict[str, Any] | None:
    """Return a figure; None if it failed."""
    wanted = {"what": what, "kind": kind, "shape": SHAPE, "threads": threads}
    if any(wanted.items() <= each.items() for each in record["failures"]):
        return None
    return _find(record["results"], **wanted)


def _ratio(record: dict[str, Any], what: str, kind: str, threads: int) -> str:
    figure = _figure(record, what, kind, threads)
    return f"{figure['ratio']:.2f}" if figure else "✗"


def _failure(failure: dict[str, Any]) -> str:
    return f"`{failure['kind']}`, {failure['what']}, threads: {failure['threads']}: `{failure['reason']}`"


def _kilobytes(size: int | None) -> str:
    return f"{size / 1000:.0f} kB" if size else "✗"


def _difference(value: float | None) -> str:
    return f"{value:.0e}" if value is not None else "✗"


_FIGURES = {"size": _kilobytes, "difference": _difference}


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]], left: int = 1) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * left}{'--:|' * (len(heads) - left)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def main() -> int:
    return update({TABLE: text(json.loads(FIGURES.read_text(encoding="utf-8")))}, "docs.site.export")


if __name__ == "__main__":
    sys.exit(main())
