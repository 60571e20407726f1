"""`rnnkit summary`: what a model is made of, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rnnkit._messages import format_bytes
from rnnkit.cli.console import Console
from rnnkit.cli.result import CommandResult, file_argument, json_option
from rnnkit.cli.table import Column

DTYPES = ("float64", "float32", "float16", "bfloat16")
COLUMNS = [
    Column("name"),
    Column("what", wraps=True),
    Column("shape"),
    Column("parameters", right=True),
    Column("multiply-adds per step", right=True),
]


@click.command(cls=CommandResult)
@file_argument
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--time", type=click.IntRange(min=1), default=100, show_default=True, help="Steps of a sequence.")
@click.option("--dtype", type=click.Choice(DTYPES), help="Of the weights; else that of a saved model, or float32.")
@json_option
@click.pass_obj
def command(
    screen: Console, *, file: Path, overrides: tuple[str, ...], time: int, dtype: str | None, as_json: bool
) -> None:
    """Layers, parameters, memory and work of a model.

    FILE is a spec file or a saved model. KEY=VALUE changes its spec: hidden_size=64, options.nonlinearity=relu. No
    weights are allocated.
    """
    import torch

    from rnnkit.files.spec import load_spec
    from rnnkit.introspection.model_summary import summarize_spec

    spec = load_spec(file, overrides=overrides)
    facts = asdict(summarize_spec(spec, time=time, dtype=getattr(torch, dtype or _saved_dtype(file))))
    screen.json(facts) if as_json else _show(screen, facts)


def _saved_dtype(file: Path) -> str:
    from rnnkit.files.checkpoint import read_header

    return read_header(file).record.dtype if file.suffix.lower() == ".safetensors" else "float32"


def _show(screen: Console, facts: dict[str, Any]) -> None:
    screen.text(f"{facts['kind']}, {facts['dtype']}: {facts['input_shape']} -> {facts['output_shape']}")
    screen.text("")
    screen.table(COLUMNS, facts["layers"])
    screen.text("")
    for line in _totals(facts):
        screen.text(line)
    if facts["note"]:
        screen.note(f"Warning: {facts['note']}")


def _totals(facts: dict[str, Any]) -> Iterator[str]:
    fixed = facts["parameters"] - facts["trainable_parameters"]
    weights, training, state = (format_bytes(facts[f"{what}_bytes"]) for what in ("weight", "training", "state"))
    yield f"Parameters: {facts['parameters']:,}" + (f", of which {fixed:,} do not learn" if fixed else "")
    yield f"Weights: {weights}; in training with Adam: {training}"
    yield f"State of a row: {state}"
    if facts["multiply_adds"] is not None:
        yield (
            f"Multiply-adds of a row: {facts['multiply_adds_per_step']:,} per step; {facts['multiply_adds']:,} per "
            f"sequence of {facts['time']:,} steps"
        )
