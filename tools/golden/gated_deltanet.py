"""Golden values of `gated_deltanet` from flash-linear-attention 0.6.0, the authors' code."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tools.golden.naive_fla import VERSION, naive, of_heads, to_numpy
from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

HEADS, SIZE = 2, HIDDEN_SIZE // 2
weight_ih = draw(1, 3 * HIDDEN_SIZE + 2 * HEADS, INPUT_SIZE)
bias, log_rate = draw(2, HEADS), draw(3, HEADS)
x, s = draw(4, BATCH, TIME, INPUT_SIZE), draw(5, BATCH, HEADS, SIZE, SIZE)
features, scalars = np.split(x @ weight_ih.T, [3 * HIDDEN_SIZE], -1)
q, k, v = (F.silu(of_heads(each, HEADS)) for each in np.split(features, 3, -1))
beta, gate = torch.from_numpy(scalars).chunk(2, -1)
initial = torch.from_numpy(s)


def unit(y: Tensor) -> Tensor:
    """Return y divided by its norm, as `fla/modules/l2norm.py`."""
    return y / torch.sqrt((y * y).sum(-1, keepdim=True) + 1e-6)


log_decay = -torch.from_numpy(np.exp(log_rate)) * F.softplus(gate + torch.from_numpy(bias))
for gated in (True, False):
    output, final = naive("gated_delta_rule").naive_recurrent_gated_delta_rule(
        unit(q),
        unit(k),
        v,
        (1 if gated else 2) * torch.sigmoid(beta),
        log_decay if gated else torch.zeros_like(log_decay),
        initial_state=initial,
        output_final_state=True,
    )
    write(
        "gated_deltanet",
        computed_by=f"{VERSION}, step by step",
        parameters={"weight_ih": weight_ih, "bias": bias, "log_rate": log_rate}
        if gated
        else {"weight_ih": weight_ih[:-HEADS]},
        x=x,
        state={"S": s},
        output=to_numpy(output.flatten(-2)),
        final_state={"S": to_numpy(final)},
        variant="" if gated else "delta",
        hidden_size=HIDDEN_SIZE,
        options={"heads": HEADS, "gated": gated, "negative_eigenvalues": not gated},
    )
