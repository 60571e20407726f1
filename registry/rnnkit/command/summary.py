"""`rnnkit summary`: what a model is made of, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rnnkit.command.answer import Answer
from rnnkit.command.options import file_argument, json_option
from rnnkit.command.screen import Screen
from rnnkit.command.table import Column
from rnnkit.explain import size_words

DTYPES = ("float64", "float32", "float16", "bfloat16")
COLUMNS = [
    Column("name"),
    Column("what", wraps=True),
    Column("shape"),
    Column("parameters", right=True),
    Column("multiply-adds per step", right=True),
]


@click.command(cls=Answer)
@file_argument
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--time", type=click.IntRange(min=1), default=100, show_default=True, help="Steps of a sequence.")
@click.option("--dtype", type=click.Choice(DTYPES), help="Of the weights; else that of a saved model, or float32.")
@json_option
@click.pass_obj
def command(
    screen: Screen, *, file: Path, overrides: tuple[str, ...], time: int, dtype: str | None, as_json: bool
) -> None:
    """Layers, parameters, memory and work of a model.

    FILE is a spec file or a saved model. KEY=VALUE changes its spec: hidden_size=64, options.nonlinearity=relu. No
    weights are allocated.
    """
    import torch

    from rnnkit.about.summary import summarize_spec
    from rnnkit.spec_file.load_save import load_spec

    spec = load_spec(file, overrides=overrides)
    facts = asdict(summarize_spec(spec, time=time, dtype=getattr(torch, dtype or _saved_dtype(file))))
    screen.json(facts) if as_json else _show(screen, facts)


def _saved_dtype(file: Path) -> str:
    from rnnkit.checkpoint.header import read_header

    return read_header(file).record.dtype if file.suffix.lower() == ".safetensors" else "float32"


def _show(screen: Screen, facts: dict[str, Any]) -> None:
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
    weights, training, state = (size_words(facts[f"{what}_bytes"]) for what in ("weight", "training", "state"))
    yield f"Parameters: {facts['parameters']:,}" + (f", of which {fixed:,} do not learn" if fixed else "")
    yield f"Weights: {weights}; in training with Adam: {training}"
    yield f"State of a row: {state}"
    if facts["multiply_adds"] is not None:
        yield (
            f"Multiply-adds of a row: {facts['multiply_adds_per_step']:,} per step; {facts['multiply_adds']:,} per "
            f"sequence of {facts['time']:,} steps"
        )
