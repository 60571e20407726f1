"""Writes the tables of "Speed of each kind" from measured figures: `python -m docs.site.zoo [--check]`.

The figures are those of `python -m benchmarks.zoo --json docs/measured/zoo.json` and of `python -m benchmarks.scan
--json docs/measured/scan.json`, committed with their date and machine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from statistics import geometric_mean
from typing import Any

from docs.site.generated import update
from docs.site.kernels import FOLDER, measured, sizes
from docs.site.kinds_index import FAMILIES
from rnnkit import get_kind

WHAT = ("forward", "training")
_PACKAGES = (
    "CPU time divided by that of a package that has the cell; lower is faster. Packages do not always compute the same "
    "step: see [the differences between implementations](../explanation/implementations.md).\n"
)


def kinds_text() -> str:
    """Return the tables of each kind beside `nn.LSTM`, its step loop and a package."""
    record = json.loads((FOLDER / "zoo.json").read_text(encoding="utf-8"))
    parts = [
        "## Beside nn.LSTM { #lstm }\n",
        "CPU time divided by that of `torch.nn.LSTM` with the same sizes; lower is faster.\n",
        *_table(record, "nn.LSTM"),
        "\n## Beside the step loop { #step-loop }\n",
        "CPU time divided by that of a Python loop over the same steps; lower is faster.\n",
        *_table(record, "step loop"),
        "\n## Beside packages { #packages }\n",
        _PACKAGES,
        *_table(record, "package"),
        f"\n{sizes(record).capitalize()}. {measured(record, 'zoo')}\n",
    ]
    return "\n".join(parts)


def _table(record: dict[str, Any], side: str) -> Iterator[str]:
    """Yield the ratios of each kind to a side; a row for each kind that has one."""
    columns = [(shape, what) for shape in record["shapes"] for what in WHAT]
    ratios = {(row["kind"], row["shape"], row["what"]): row["ratios"].get(side) for row in record["results"]}
    kinds = [kind for kind in _ordered(record) if any(ratios.get((kind, *column)) for column in columns)]
    extra = ["package"] if side == "package" else ["family"]
    yield f"| kind | {extra[0]} | {' | '.join(f'{what}, {_shape(shape)}' for shape, what in columns)} |"
    yield f"|---|---|{'--:|' * len(columns)}"
    for kind in kinds:
        second = record["packages"][kind] if side == "package" else get_kind(kind).family
        cells = [ratios.get((kind, *column)) for column in columns]
        yield f"| [`{kind}`](../kinds/{kind}.md) | {second} | {' | '.join(map(_ratio, cells))} |"
    means = [geometric_mean(filter(None, (ratios.get((kind, *column)) for kind in kinds))) for column in columns]
    yield f"| **geometric mean** | | {' | '.join(f'**{_ratio(mean)}**' for mean in means)} |"


def _ordered(record: dict[str, Any]) -> list[str]:
    families = list(FAMILIES)
    kinds = {row["kind"] for row in record["results"]}
    return sorted(kinds, key=lambda kind: (families.index(str(get_kind(kind).family)), kind))


def _shape(name: str) -> str:
    return {"longest": "4,096 steps"}.get(name, name)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def scan_text() -> str:
    """Return the table of the scan beside a loop."""
    record = json.loads((FOLDER / "scan.json").read_text(encoding="utf-8"))
    lanes = list(dict.fromkeys(row["lanes"] for row in record["results"]))
    lines = [
        f"| steps | pass | {' | '.join(f'{each:,} lanes' for each in lanes)} |",
        f"|--:|---|{'--:|' * len(lanes)}",
    ]
    found = {(row["steps"], row["what"], row["lanes"]): row["speedup"] for row in record["results"]}
    for steps, what in dict.fromkeys((steps, what) for steps, what, _ in found):
        speedups = [f"{found[steps, what, each]:.1f}" for each in lanes]
        lines.append(f"| {steps:,} | {what} | {' | '.join(speedups)} |")
    note = "Times that `rnnkit.scan` is faster than a loop over the steps; a lane is a feature of a sequence."
    return "\n".join(lines) + f"\n\n{note} {measured(record, 'scan')}\n"


TABLES = {"zoo.md": kinds_text, "scan.md": scan_text}


def main(arguments: list[str] | None = None) -> int:
    return update({FOLDER / name: text() for name, text in TABLES.items()}, "docs.site.zoo", arguments)


if __name__ == "__main__":
    sys.exit(main())
