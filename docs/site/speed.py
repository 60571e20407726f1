"""Writes the table of measured times on Home from the figures of the benchmarks: `python -m docs.site.speed [--check]`.

The figures are those of `python -m benchmarks --threads 1 --json docs/measured/benchmarks.json`, committed with their
date and machine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "measured"
FIGURES, TABLE = FOLDER / "benchmarks.json", FOLDER / "benchmarks.md"
SHAPES = ("medium", "long")
WHATS = ("forward", "training")
# baselines: the same networks without rnnkit
AGAINST = {
    "rnn": "torch.nn",
    "gru": "torch.nn",
    "lstm": "torch.nn",
    "rnn_cell": "loop",
    "gru_cell": "loop",
    "lstm_cell": "loop",
    "mgu": "torchrecurrent",
}
WORDS = {
    "torch.nn": "`torch.nn.{module}`",
    "loop": "a loop over `torch.nn.{module}`",
    "torchrecurrent": "torchrecurrent's `{module}`",
}
MODULES = {"rnn_cell": "RNNCell", "gru_cell": "GRUCell", "lstm_cell": "LSTMCell"}


def ratio(record: dict[str, Any], kind: str, what: str, shape: str) -> float:
    """Return the time of rnnkit divided by the time of the baseline.

    Raises:
        LookupError: the figures have no such record, or several.
    """
    wanted = {"what": what, "kind": kind, "shape": shape, "against": AGAINST[kind], "threads": 1}
    found = [each["ratio"] for each in record["results"] if wanted.items() <= each.items()]
    if len(found) != 1:
        raise LookupError(f"{FIGURES.name} has {len(found)} figures of {wanted}, and should have one")
    return float(found[0])


def table(record: dict[str, Any]) -> str:
    heads = [f"{what}, {shape}" for shape in SHAPES for what in WHATS]
    lines = [f"| kind | baseline | {' | '.join(heads)} |", f"|---|---|{'--:|' * len(heads)}"]
    for kind, against in AGAINST.items():
        other = WORDS[against].format(module=MODULES.get(kind, kind.upper()))
        figures = [f"{ratio(record, kind, what, shape):.2f}" for shape in SHAPES for what in WHATS]
        lines.append(f"| [`{kind}`](kinds/{kind}.md) | {other} | {' | '.join(figures)} |")
    return "\n".join(lines)


def words(record: dict[str, Any]) -> str:
    """Describe the figures and the machine that they were measured on."""
    shapes = "; ".join(
        f"{name}: " + ", ".join(f"{what.removesuffix('_size')} {size}" for what, size in record["shapes"][name].items())
        for name in SHAPES
    )
    return (
        f"CPU time of rnnkit relative to the baseline, on one thread, interleaved in one run: lower is faster, 1.00 is "
        f"equal ({shapes.replace('num_layers', 'layers')}). Measured on {record['date'][:10]} on "
        f"“{record['processor']}” with torch {record['torch'].partition('+')[0]} and rnnkit {record['rnnkit']}. "
        f"Run `make bench` to repeat the benchmark; the [results](measured/benchmarks.json) are in the repository."
    )


def text() -> str:
    """Return the part of the page that is generated."""
    record = json.loads(FIGURES.read_text(encoding="utf-8"))
    return f"{table(record)}\n\n{words(record)}\n"


def main() -> int:
    if "--check" not in sys.argv:
        TABLE.write_text(text(), encoding="utf-8")
    elif TABLE.read_text(encoding="utf-8") != text():
        print(f"{TABLE} is not what {FIGURES} says: run python -m docs.site.speed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
