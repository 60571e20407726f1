"""Golden values of `mingru` from minGRU-pytorch 0.2.1, which reads one step at a time without logarithms."""

from __future__ import annotations

import numpy as np
import torch
from minGRU_pytorch import minGRU  # pip install --no-deps minGRU-pytorch==0.2.1

from tools.golden.record import BATCH, HIDDEN_SIZE, TIME, draw, write

# Its input and its state have one size.
theirs = minGRU(HIDDEN_SIZE).double()
z, n = draw(1, HIDDEN_SIZE, HIDDEN_SIZE), draw(2, HIDDEN_SIZE, HIDDEN_SIZE)
with torch.no_grad():
    theirs.to_hidden_and_gate.weight.copy_(torch.from_numpy(np.concatenate([n, z])))
x, h = draw(3, BATCH, TIME, HIDDEN_SIZE), np.abs(draw(4, BATCH, HIDDEN_SIZE))
state, outputs = torch.from_numpy(h[:, None]), []
with torch.no_grad():
    for x_t in torch.from_numpy(x).split(1, dim=1):
        state = theirs(x_t, state)
        outputs.append(state)
output = torch.cat(outputs, 1).numpy()

write(
    "mingru",
    computed_by="minGRU-pytorch 0.2.1, one step at a time",
    parameters={"weight_ih": np.concatenate([z, n])},
    x=x,
    state={"h": h},
    output=output,
    final_state={"h": output[:, -1]},
    hidden_size=HIDDEN_SIZE,
    bias=False,
)
