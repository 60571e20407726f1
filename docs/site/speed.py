"""Writes the table of measured times on Home from the figures of the benchmarks: `python -m docs.site.speed [--check]`.

The figures are those of `python -m benchmarks --threads 1 --json docs/measured/benchmarks.json`, committed with their
date and machine. Those of the `lstm` kind are on its model card, whose baseline is the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from docs.site.generated import update

DOCS = Path(__file__).parents[1]
FOLDER = DOCS / "measured"
FIGURES, TABLE = FOLDER / "benchmarks.json", FOLDER / "benchmarks.md"
SHAPES = ("medium", "long")
WHATS = ("forward", "training")
# the baseline of each kind: the same network without rnnkit
AGAINST = {
    "rnn": "torch.nn",
    "gru": "torch.nn",
    "lstm": "torch.nn",
    "rnn_cell": "loop",
    "gru_cell": "loop",
    "lstm_cell": "loop",
    "mgu": "torchrecurrent",
}
# its card has this quantity, which must have one record only
ON_CARD = "lstm"
WORDS = {
    "torch.nn": "`torch.nn.{module}`",
    "loop": "a loop over `torch.nn.{module}`",
    "torchrecurrent": "torchrecurrent's `{module}`",
}
MODULES = {"rnn_cell": "RNNCell", "gru_cell": "GRUCell", "lstm_cell": "LSTMCell"}


def ratio(record: dict[str, Any], kind: str, what: str, shape: str) -> float:
    """Return the time of a kind divided by that of its baseline.

    Raises:
        LookupError: the figure is missing, or there are several.
    """
    if kind == ON_CARD:
        return _on_card(what, record["shapes"][shape])
    wanted = {"what": what, "kind": kind, "shape": shape, "against": AGAINST[kind], "threads": 1}
    found = [each["ratio"] for each in record["results"] if wanted.items() <= each.items()]
    if len(found) != 1:
        raise LookupError(f"{FIGURES.name} has {len(found)} figures of {wanted}, and should have one")
    return float(found[0])


def _on_card(what: str, sizes: dict[str, int]) -> float:
    measurements = json.loads((DOCS / f"kinds/measured/{ON_CARD}.json").read_text(encoding="utf-8"))
    [time] = [each[what] for each in measurements["speed"] if each["sizes"] == sizes]
    return float(time["milliseconds"] / time["lstm_milliseconds"])


def table(record: dict[str, Any]) -> str:
    heads = [f"{what}, {shape}" for shape in SHAPES for what in WHATS]
    lines = [f"| kind | compared with | {' | '.join(heads)} |", f"|---|---|{'--:|' * len(heads)}"]
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
        f"CPU time relative to the baseline on one thread; lower is faster, and differences below 10 % are noise "
        f"({shapes.replace('num_layers', 'layers')}). rnnkit and the baseline run interleaved, and the median of the "
        f"five shortest times of each counts; `lstm` runs torch's own kernel. Measured on {record['date'][:10]} on the "
        f"processor “{record['processor']}” with torch {record['torch'].partition('+')[0]} and rnnkit "
        f"{record['rnnkit']}. To measure again, run `make bench`; see [the data](measured/benchmarks.json)."
    )


def text() -> str:
    """Return the part of the page that is generated."""
    record = json.loads(FIGURES.read_text(encoding="utf-8"))
    return f"{table(record)}\n\n{words(record)}\n"


def main() -> int:
    return update({TABLE: text()}, "docs.site.speed")


if __name__ == "__main__":
    sys.exit(main())
