"""Writes the tables of "How cells run fast" from measured figures: `python -m docs.site.kernels [--check]`.

The figures are those of `python -m benchmarks.peers --json docs/measured/peers.json` and of `python -m
benchmarks.third_party --json docs/measured/third_party.json`, committed with their date and machine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from docs.site import speed
from docs.site.generated import update

FOLDER = Path(__file__).parents[1] / "measured"
OURS = "rnnkit"
PEERS = {"forward": ("torch.nn", "ONNX Runtime", "JAX"), "training": ("torch.nn", "JAX")}


def _load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def sizes(record: dict[str, Any]) -> str:
    return "; ".join(
        f"{name}: " + ", ".join(f"{what.removesuffix('_size')} {size}" for what, size in shape.items())
        for name, shape in record["shapes"].items()
    ).replace("num_layers", "layers")


def measured(record: dict[str, Any], name: str) -> str:
    return (
        f"Measured on {record['date'][:10]} on one thread of the processor “{record['processor']}”, on which a matrix "
        f"product of torch reaches {record['matmul_gflops']:.0f} GFLOP/s, interleaved in one run, with torch "
        f"{record['torch'].partition('+')[0]} and rnnkit {record['rnnkit']}. To measure again, run `python -m "
        f"benchmarks.{name}`; see [the data](../measured/{name}.json)."
    )


def peers_text() -> str:
    """Return the table of whole models."""
    record = _load("peers")
    heads = [f"{what} ÷ {peer}" for what, peers in PEERS.items() for peer in peers]
    lines = [f"| shape | kind | {' | '.join(heads)} |", f"|---|---|{'--:|' * len(heads)}"]
    times = {(each["shape"], each["kind"], each["what"]): each["times"] for each in record["results"]}
    for shape, kind in dict.fromkeys((shape, kind) for shape, kind, _ in times):
        ratios = [
            f"{_ratio(times[shape, kind, what], kind, what, shape, peer):.2f}"
            for what, peers in PEERS.items()
            for peer in peers
        ]
        lines.append(f"| {shape} | [`{kind}`](../kinds/{kind}.md) | {' | '.join(ratios)} |")
    note = (
        f"CPU time of the rnnkit model divided by that of the other library; lower is faster ({sizes(record)}). The "
        f"ratios to torch.nn at {' and '.join(speed.SHAPES)} are those of the table on Home."
    )
    return "\n".join(lines) + f"\n\n{note} {measured(record, 'peers')}\n"


def _ratio(times: dict[str, float], kind: str, what: str, shape: str, peer: str) -> float:
    if peer == "torch.nn" and shape in speed.SHAPES:  # one record of each quantity
        return speed.ratio(_load("benchmarks"), kind, what, shape)
    return times[OURS] / times[peer]


def cells_text() -> str:
    """Return the table of torchrecurrent's cells."""
    record = _load("third_party")
    heads = [f"{what}, {shape}" for shape in record["shapes"] for what in ("forward", "training")]
    lines = [f"| cell | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    results = [each for each in record["results"] if each["executor"] == "kernels"]
    lines += [f"| {each['name']} | {' | '.join(f'{ratio:.2f}' for ratio in each['ratios'])} |" for each in results]
    means = [geometric_mean(column) for column in zip(*[each["ratios"] for each in results], strict=True)]
    lines.append(f"| **geometric mean** | {' | '.join(f'**{mean:.2f}**' for mean in means)} |")
    note = f"CPU time in rnnkit divided by that of torchrecurrent's own layer; lower is faster ({sizes(record)})."
    return "\n".join(lines) + f"\n\n{note} {measured(record, 'third_party')}\n"


TABLES = {"peers.md": peers_text, "third_party.md": cells_text}


def main() -> int:
    return update({FOLDER / name: text() for name, text in TABLES.items()}, "docs.site.kernels")


if __name__ == "__main__":
    sys.exit(main())
