"""Draw the parameters and the input of a golden file, and write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[2] / "tests" / "golden" / "cells"
BATCH, TIME, INPUT_SIZE, HIDDEN_SIZE = 2, 5, 3, 4
Array = np.ndarray[Any, np.dtype[np.float64]]


def draw(seed: int, *shape: int, scale: float = 1.0) -> Array:
    """Return normally distributed values with four digits, which are the same in every version of NumPy."""
    # RandomState is frozen: its streams never change
    return np.round(scale * np.random.RandomState(seed).randn(*shape), 4)


def sigmoid(x: Array) -> Array:
    """Return the logistic function of each entry."""
    return np.asarray(1 / (1 + np.exp(-x)))


def write(
    kind: str,
    *,
    computed_by: str,
    parameters: Mapping[str, Array],
    x: Array,
    state: Mapping[str, Array],
    output: Array,
    final_state: Mapping[str, Array],
    variant: str = "",
    **fields: Any,
) -> None:
    """Write a golden file.

    Args:
        kind: the name of the kind.
        computed_by: the code that computed the values, with its version.
        parameters: the parameters and buffers of rnnkit's cell by name.
        x: the input, `(batch, time, input_size)`.
        state: the parts of the initial state, `(batch, ...)`.
        output: the output of each step, `(batch, time, output_size)`.
        final_state: the parts of the final state, or some of them.
        variant: what tells files of one kind apart, such as `"no_bias"`; empty for its main file.
        **fields: the fields of the spec, such as `options`.
    """
    content = {
        "kind": kind,
        "provenance": {"computed_by": computed_by},
        "fields": {"input_size": x.shape[-1], **fields},
        "parameters": _plain(parameters),
        "x": x.tolist(),
        "state": _plain(state),
        "output": output.tolist(),
        "final_state": _plain(final_state),
    }
    path = FOLDER / f"{'-'.join(filter(None, [kind, variant]))}.json"
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _plain(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: array.tolist() for name, array in arrays.items()}
