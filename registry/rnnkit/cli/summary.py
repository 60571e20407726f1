"""`rnnkit summary`: layers, parameters, memory and multiply-adds of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.command import RnnkitCommand, file_argument, json_option
from rnnkit.cli.console import Console

if TYPE_CHECKING:
    from rnnkit.introspection.model_summary import ModelSummary

_DTYPES = ("float64", "float32", "float16", "bfloat16")


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
    summary = summarize_spec(spec, time=time, dtype=getattr(torch, dtype or _saved_dtype(file)))
    facts = asdict(summary)
    console.json(facts) if as_json else _show(console, summary, facts["layers"])


def _saved_dtype(file: Path) -> str:
    from rnnkit.files.checkpoint import read_header

    return read_header(file).record.dtype if file.suffix.lower() == ".safetensors" else "float32"


def _show(console: Console, summary: ModelSummary, layers: Sequence[Mapping[str, Any]]) -> None:
    from rnnkit.introspection.summary_text import COLUMNS, heading, totals

    console.text(heading(summary))
    console.text("")
    console.table(COLUMNS, layers)
    console.text("")
    for line in totals(summary):
        console.text(line)
    if summary.note:
        console.note(f"Warning: {summary.note}")
