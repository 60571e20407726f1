"""Golden values of `minlstm` from minGRU-pytorch 0.2.1, which reads one step at a time without logarithms."""

from __future__ import annotations

import numpy as np
import torch
from minGRU_pytorch.minLSTM import minLSTM  # pip install --no-deps minGRU-pytorch==0.2.1

from tools.golden.record import BATCH, HIDDEN_SIZE, TIME, draw, write

# Its input and its state have one size.
theirs = minLSTM(HIDDEN_SIZE).double()
f, i, n = (draw(seed, HIDDEN_SIZE, HIDDEN_SIZE) for seed in (1, 2, 3))
with torch.no_grad():
    theirs.to_hidden_and_f_i_gate.weight.copy_(torch.from_numpy(np.concatenate([n, f, i])))
x, h = draw(4, BATCH, TIME, HIDDEN_SIZE), np.abs(draw(5, BATCH, HIDDEN_SIZE))
state, outputs = torch.from_numpy(h[:, None]), []
with torch.no_grad():
    for x_t in torch.from_numpy(x).split(1, dim=1):
        state = theirs(x_t, state)
        outputs.append(state)
output = torch.cat(outputs, 1).numpy()

write(
    "minlstm",
    computed_by="minGRU-pytorch 0.2.1, one step at a time",
    parameters={"weight_ih": np.concatenate([f, i, n])},
    x=x,
    state={"h": h},
    output=output,
    final_state={"h": output[:, -1]},
    hidden_size=HIDDEN_SIZE,
    bias=False,
)
