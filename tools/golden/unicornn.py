"""Golden values of `unicornn` from torchrecurrent 0.2.5: the code of the authors runs on CUDA devices alone."""

from __future__ import annotations

import torch
from torchrecurrent import UnICORNNCell  # pip install torchrecurrent==0.2.5

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

OPTIONS = {"dt": 0.19, "alpha": 30.65}  # those of the authors for permuted MNIST
theirs = UnICORNNCell(INPUT_SIZE, HIDDEN_SIZE, **OPTIONS).double()
weight_ih, weight_hh, time_scale, bias = (
    draw(1, HIDDEN_SIZE, INPUT_SIZE),
    draw(2, HIDDEN_SIZE),
    draw(3, HIDDEN_SIZE),
    draw(4, HIDDEN_SIZE),
)
with torch.no_grad():
    theirs.weight_ih.copy_(torch.from_numpy(weight_ih))
    theirs.weight_hh.copy_(torch.from_numpy(weight_hh))
    theirs.weight_ch.copy_(torch.from_numpy(time_scale))
    theirs.bias_ih.copy_(torch.from_numpy(bias))
    theirs.bias_hh.zero_()
x, h, z = draw(5, BATCH, TIME, INPUT_SIZE), draw(6, BATCH, HIDDEN_SIZE), draw(7, BATCH, HIDDEN_SIZE)
state, outputs = (torch.from_numpy(h), torch.from_numpy(z)), []
with torch.no_grad():
    for x_t in torch.from_numpy(x).unbind(1):
        state = theirs(x_t, state)
        outputs.append(state[0])

write(
    "unicornn",
    computed_by="torchrecurrent 0.2.5, UnICORNNCell",
    parameters={"weight_ih": weight_ih, "weight_hh": weight_hh, "time_scale": time_scale, "bias": bias},
    x=x,
    state={"h": h, "z": z},
    output=torch.stack(outputs, 1).numpy(),
    final_state={"h": state[0].numpy(), "z": state[1].numpy()},
    hidden_size=HIDDEN_SIZE,
    options=OPTIONS,
)
