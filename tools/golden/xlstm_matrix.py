"""Golden values of `xlstm_matrix` from xlstm 2.0.6, the authors' code."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from xlstm.blocks.mlstm.backends import recurrent_step_stabilized_simple  # pip install --no-deps xlstm==2.0.6

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, Array, draw, sigmoid, write

HEADS, SIZE = 2, HIDDEN_SIZE // 2
rows = 4 * HIDDEN_SIZE + 2 * HEADS
weight_ih, bias = draw(1, rows, INPUT_SIZE), draw(2, rows)
x = draw(3, BATCH, TIME, INPUT_SIZE)
c, n, m = draw(4, BATCH, HEADS, SIZE, SIZE), draw(5, BATCH, HEADS, SIZE), draw(6, BATCH, HEADS)
projected = x @ weight_ih.T + bias


def of_step(values: Array) -> Tensor:
    """Return `(batch, heads, 1, features)`."""
    return torch.from_numpy(values.reshape(BATCH, HEADS, 1, -1))


state = torch.from_numpy(c), torch.from_numpy(n)[..., None], torch.from_numpy(m)[..., None, None]
outputs = []
for step in projected.transpose(1, 0, 2):
    q, k, v, o, i, f = np.split(step, [HIDDEN_SIZE * number for number in (1, 2, 3, 4)] + [rows - HEADS], -1)
    h, state = recurrent_step_stabilized_simple(*state, *map(of_step, (q, k, v, i, f)), eps=0.0)
    outputs.append(sigmoid(o) * h.numpy().reshape(BATCH, HIDDEN_SIZE))

write(
    "xlstm_matrix",
    computed_by="xlstm 2.0.6, recurrent_step_stabilized_simple with eps=0",
    parameters={"weight_ih": weight_ih, "bias": bias},
    x=x,
    state={"C": c, "n": n, "m": m},
    output=np.stack(outputs, 1),
    final_state={"C": state[0].numpy(), "n": state[1].numpy()[..., 0], "m": state[2].numpy()[..., 0, 0]},
    hidden_size=HIDDEN_SIZE,
    options={"heads": HEADS},
)
