"""Golden values of `gated_deltanet` from flash-linear-attention 0.6.0, the authors' code.

Their convolution runs on a GPU only: with `conv`, torch's `conv1d` takes its place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tools.golden.naive_fla import VERSION, naive, of_heads, to_numpy
from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, Array, draw, write

HEADS, SIZE, CONV = 2, HIDDEN_SIZE // 2, 4
weight_ih = draw(1, 3 * HIDDEN_SIZE + 2 * HEADS, INPUT_SIZE)
bias, log_rate = draw(2, HEADS), draw(3, HEADS)
x, s = draw(4, BATCH, TIME, INPUT_SIZE), draw(5, BATCH, HEADS, SIZE, SIZE)
kernel, tail = draw(6, 3 * HIDDEN_SIZE, 1, CONV), draw(7, BATCH, CONV - 1, 3 * HIDDEN_SIZE)
features, scalars = np.split(x @ weight_ih.T, [3 * HIDDEN_SIZE], -1)
beta, gate = torch.from_numpy(scalars).chunk(2, -1)
initial = torch.from_numpy(s)
log_decay = -torch.from_numpy(np.exp(log_rate)) * F.softplus(gate + torch.from_numpy(bias))
window = np.concatenate([tail, features], 1)
convolved = F.conv1d(torch.from_numpy(window).mT, torch.from_numpy(kernel), groups=3 * HIDDEN_SIZE).mT.numpy()


def unit(y: Tensor) -> Tensor:
    """Return y divided by its norm, as `fla/modules/l2norm.py`."""
    return y / torch.sqrt((y * y).sum(-1, keepdim=True) + 1e-6)


def run(inputs: Array, *, gated: bool) -> dict[str, Any]:
    """Return the output and the final state of queries, keys and values before their SiLU."""
    q, k, v = (F.silu(of_heads(each, HEADS)) for each in np.split(inputs, 3, -1))
    output, final = naive("gated_delta_rule").naive_recurrent_gated_delta_rule(
        unit(q),
        unit(k),
        v,
        (1 if gated else 2) * torch.sigmoid(beta),
        log_decay if gated else torch.zeros_like(log_decay),
        initial_state=initial,
        output_final_state=True,
    )
    return {"output": to_numpy(output.flatten(-2)), "final_state": {"S": to_numpy(final)}}


def tail_of_heads(values: Array) -> Array:
    """Return the last q, k and v in the layout of the state, `(batch, heads, conv - 1, 3 * SIZE)`."""
    parts = [np.split(each, HEADS, -1) for each in np.split(values, 3, -1)]
    return np.stack([np.concatenate(of_head, -1) for of_head in zip(*parts, strict=True)], 1)


gated: dict[str, Any] = {"weight_ih": weight_ih, "bias": bias, "log_rate": log_rate}
shared: dict[str, Any] = {"computed_by": f"{VERSION}, step by step", "x": x, "hidden_size": HIDDEN_SIZE}
write(
    "gated_deltanet",
    parameters=gated,
    state={"S": s},
    **shared,
    options={"heads": HEADS, "gated": True, "negative_eigenvalues": False},
    **run(features, gated=True),
)
write(
    "gated_deltanet",
    variant="delta",
    parameters={"weight_ih": weight_ih[:-HEADS]},
    state={"S": s},
    **shared,
    options={"heads": HEADS, "gated": False, "negative_eigenvalues": True},
    **run(features, gated=False),
)
found = run(convolved, gated=True)
write(
    "gated_deltanet",
    variant="conv",
    parameters={**gated, "convolution.weight": kernel},
    state={"S": s, "tail": tail_of_heads(tail)},
    options={"heads": HEADS, "conv": CONV},
    output=found["output"],
    final_state={**found["final_state"], "tail": tail_of_heads(window[:, -(CONV - 1) :])},
    **{**shared, "computed_by": f"{VERSION}, step by step, behind torch's conv1d"},
)
