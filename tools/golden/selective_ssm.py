"""Golden values of `selective_ssm` from mambapy 1.2.0, one step at a time."""

from __future__ import annotations

import numpy as np
import torch
from mambapy.mamba import MambaBlock, MambaConfig  # pip install --no-deps mambapy==1.2.0

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

STATES, RANK = 3, 2
linear, selection = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, RANK + 2 * STATES, HIDDEN_SIZE)
step, bias = draw(3, HIDDEN_SIZE, RANK), draw(4, HIDDEN_SIZE)
decay, skip = draw(5, HIDDEN_SIZE, STATES), draw(6, HIDDEN_SIZE)
x, h = draw(7, BATCH, TIME, INPUT_SIZE), draw(8, BATCH, HIDDEN_SIZE, STATES)

setattr(torch.Tensor, "float", torch.Tensor.double)  # noqa: B010  # it reads two parameters in float32
config = MambaConfig(d_model=HIDDEN_SIZE, n_layers=1, dt_rank=RANK, d_state=STATES, expand_factor=1)
theirs = MambaBlock(config).double()
values = {"x_proj.weight": selection, "dt_proj.weight": step, "dt_proj.bias": bias, "A_log": decay, "D": skip}
parameters = dict(theirs.named_parameters())
state, outputs = torch.from_numpy(h), []
with torch.no_grad():
    for name, value in values.items():
        parameters[name].copy_(torch.from_numpy(value))
    for u_t in torch.from_numpy(x @ linear.T).unbind(1):
        output, state = theirs.ssm_step(u_t, state)
        outputs.append(output)

write(
    "selective_ssm",
    computed_by="mambapy 1.2.0",
    parameters={
        "weight_ih": linear,
        "weight_selection": selection,
        "weight_step": step,
        "bias": bias,
        "log_decay": decay,
        "weight_skip": skip,
    },
    x=x,
    state={"h": h},
    output=np.stack([output.numpy() for output in outputs], 1),
    final_state={"h": state.numpy()},
    hidden_size=HIDDEN_SIZE,
    options={"state_size": STATES, "rank": RANK},
)
