"""Golden values of `cornn` from the authors' code, the file `psMNIST/network.py` of github.com/tk-rusch/coRNN."""

from __future__ import annotations

import numpy as np
import torch
from network import coRNNCell  # the folder psMNIST in PYTHONPATH

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

OPTIONS = {"dt": 0.076, "gamma": 0.4, "epsilon": 8.0}  # those of the task in the same folder
theirs = coRNNCell(INPUT_SIZE, HIDDEN_SIZE, **OPTIONS).double()
weight_ih, bias = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE)
weight_hh, weight_zh = draw(3, HIDDEN_SIZE, HIDDEN_SIZE), draw(4, HIDDEN_SIZE, HIDDEN_SIZE)
with torch.no_grad():
    theirs.i2h.weight.copy_(torch.from_numpy(np.concatenate([weight_ih, weight_zh, weight_hh], 1)))
    theirs.i2h.bias.copy_(torch.from_numpy(bias))
x, h, z = draw(5, BATCH, TIME, INPUT_SIZE), draw(6, BATCH, HIDDEN_SIZE), draw(7, BATCH, HIDDEN_SIZE)
state, outputs = (torch.from_numpy(h), torch.from_numpy(z)), []
with torch.no_grad():
    for x_t in torch.from_numpy(x).unbind(1):
        state = theirs(x_t, *state)
        outputs.append(state[0])

write(
    "cornn",
    computed_by="psMNIST/network.py of github.com/tk-rusch/coRNN at commit afd8174",
    parameters={"weight_ih": weight_ih, "weight_hh": weight_hh, "weight_zh": weight_zh, "bias": bias},
    x=x,
    state={"h": h, "z": z},
    output=torch.stack(outputs, 1).numpy(),
    final_state={"h": state[0].numpy(), "z": state[1].numpy()},
    hidden_size=HIDDEN_SIZE,
    options=OPTIONS,
)
