"""`rnnkit summary`: layers, parameters, memory and multiply-adds of a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rnnkit._messages import format_bytes
from rnnkit.cli._table import Column
from rnnkit.cli.command import RnnkitCommand, file_argument, json_option
from rnnkit.cli.console import Console

_DTYPES = ("float64", "float32", "float16", "bfloat16")
COLUMNS = [
    Column("name"),
    Column("module", wraps=True),
    Column("shape"),
    Column("parameters", right=True),
    Column("multiply-adds per step", right=True),
]


@click.command(cls=RnnkitCommand)
@file_argument
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--time", type=click.IntRange(min=1), default=100, show_default=True, help="Number of steps.")
@click.option("--dtype", type=click.Choice(_DTYPES), help="Dtype; default: that of a saved model, or float32.")
@json_option
@click.pass_obj
def command(
    console: Console, *, file: Path, overrides: tuple[str, ...], time: int, dtype: str | None, as_json: bool
) -> None:
    """Show layers, parameters, memory and multiply-adds.

    FILE is a spec file or a saved model. KEY=VALUE overrides a field of its spec: hidden_size=64,
    options.nonlinearity=relu. No weights are allocated.
    """
    import torch

    from rnnkit.files.spec import load_spec
    from rnnkit.introspection.model_summary import summarize_spec

    spec = load_spec(file, overrides=overrides)
    facts = asdict(summarize_spec(spec, time=time, dtype=getattr(torch, dtype or _saved_dtype(file))))
    console.json(facts) if as_json else _show(console, facts)


def _saved_dtype(file: Path) -> str:
    from rnnkit.files.checkpoint import read_header

    return read_header(file).record.dtype if file.suffix.lower() == ".safetensors" else "float32"


def _show(console: Console, facts: dict[str, Any]) -> None:
    given = "" if facts["input_dtype"] == facts["dtype"] else f" of {facts['input_dtype']}"
    console.text(f"{facts['kind']}, {facts['dtype']}: {facts['input_shape']}{given} -> {facts['output_shape']}")
    console.text("")
    console.table(COLUMNS, facts["layers"])
    console.text("")
    for line in _totals(facts):
        console.text(line)
    if facts["note"]:
        console.note(f"Warning: {facts['note']}")


def _totals(facts: dict[str, Any]) -> Iterator[str]:
    fixed = facts["parameters"] - facts["trainable_parameters"]
    weights, training, state = (format_bytes(facts[f"{part}_bytes"]) for part in ("weight", "training", "state"))
    yield f"Parameters: {facts['parameters']:,}" + (f", {fixed:,} of them frozen" if fixed else "")
    yield f"Weights: {weights}; with gradients and Adam: {training}"
    yield f"State of one sequence: {state}"
    if facts["multiply_adds"] is not None:
        yield (
            f"Multiply-adds (MACs): {facts['multiply_adds_per_step']:,} per step; {facts['multiply_adds']:,} per "
            f"sequence of {facts['time']:,} steps"
        )
