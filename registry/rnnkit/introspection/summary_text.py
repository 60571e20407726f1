"""The summary of a model as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from rnnkit._messages import format_bytes
from rnnkit._table import Column, table_lines

if TYPE_CHECKING:
    from rnnkit.introspection.model_summary import ModelSummary

COLUMNS = [
    Column("name"),
    Column("module", wraps=True),
    Column("shape"),
    Column("parameters", right=True),
    Column("multiply-adds per step", right=True),
]
_UNLIMITED = 2**31


def summary_text(summary: ModelSummary) -> str:
    """Return the lines that `rnnkit summary` prints, of any width."""
    rows = [asdict(layer) for layer in summary.layers]
    note = [f"Warning: {summary.note}"] if summary.note else []
    table = table_lines(COLUMNS, rows, _UNLIMITED, "-")
    return "\n".join([heading(summary), "", *table, "", *totals(summary), *note])


def heading(summary: ModelSummary) -> str:
    """Return the kind, the dtype, and the shapes of input and output."""
    given = "" if summary.input_dtype == summary.dtype else f" of {summary.input_dtype}"
    return f"{summary.kind}, {summary.dtype}: {summary.input_shape}{given} -> {summary.output_shape}"


def totals(summary: ModelSummary) -> Iterator[str]:
    """Yield a line for the parameters, for the memory of weights and of states, and for the multiply-adds if known."""
    frozen = summary.parameters - summary.trainable_parameters
    yield f"Parameters: {summary.parameters:,}" + (f", {frozen:,} of them frozen" if frozen else "")
    weights, training = format_bytes(summary.weight_bytes), format_bytes(summary.training_bytes)
    yield f"Weights: {weights}; with gradients and Adam: {training}"
    yield f"State of one sequence: {format_bytes(summary.state_bytes)}"
    if summary.multiply_adds is not None:
        yield (
            f"Multiply-adds (MACs): {summary.multiply_adds_per_step:,} per step; {summary.multiply_adds:,} per "
            f"sequence of {summary.time:,} steps"
        )
