"""Run a PyTorch cell of another package over a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from tools.golden.record import Array


@torch.no_grad()
def run_cell(
    cell: Any, parameters: Mapping[str, Array], x: Array, state: tuple[Array, ...]
) -> tuple[Array, tuple[Array, ...]]:
    """Return the output of each step, `(batch, time, hidden_size)`, and the parts of the final state.

    Args:
        cell: returns the state after a step, the hidden state first, for an input and the state before the step: a
            tensor, or a tuple of tensors.
        parameters: its parameters by name; those without a value are zero.
        x: the input, `(batch, time, input_size)`.
        state: the parts of the state before the first step, the hidden state first.
    """
    values = {name: np.zeros(tuple(each.shape)) for name, each in cell.double().state_dict().items()}
    cell.load_state_dict({name: torch.from_numpy(each) for name, each in {**values, **parameters}.items()})
    parts, outputs = tuple(map(torch.from_numpy, state)), []
    for x_t in torch.from_numpy(x).unbind(1):
        after = cell(x_t, parts if len(parts) > 1 else parts[0])
        parts = after if isinstance(after, tuple) else (after,)
        outputs.append(parts[0])
    return torch.stack(outputs, 1).numpy(), tuple(part.numpy() for part in parts)
