"""The measured times of one step, for the table of kinds and the spec builder.

They are those of `python -m benchmarks.step --json docs/measured/step.json`, committed with their date and machine.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple

from docs.site.kernels import FOLDER, measured


class StepTime(NamedTuple):
    """The CPU time of one step at batch 1, and its ratio to that of `nn.LSTMCell`."""

    microseconds: float
    ratio: float


@cache
def _record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads((FOLDER / "step.json").read_text(encoding="utf-8"))
    return record


def step_time(kind: str) -> StepTime | None:
    """Return the time of one step of a kind; None if it was not measured, as for kinds of plugins."""
    found = (row for row in _record()["results"] if row["kind"] == kind)
    return next((StepTime(row["microseconds"], row["ratio"]) for row in found), None)


def step_sizes() -> str:
    """Return the sizes of the measured step: `batch 1, one layer, 64 to 128`."""
    shape = _record()["shape"]
    if shape["num_layers"] != 1 or shape["time"] != 1:
        raise ValueError(f"The times of one step must be those of one layer and one step, but are those of {shape}")
    return f"batch {shape['batch']}, one layer, {shape['input_size']} to {shape['hidden_size']}"


def step_note() -> str:
    """Describe the measurement, with its date and machine."""
    lstm_cell = next(row["microseconds"] / row["ratio"] for row in _record()["results"])
    return (
        f"*Step* is the CPU time of one call for one step of one sequence ({step_sizes()}), which returns the next "
        f"state, as in streaming inference; that of `torch.nn.LSTMCell` is about {lstm_cell:.0f} µs. At this size most "
        f"of it is the cost of calling operators. {measured(_record(), 'step')}"
    )
