"""Golden values of `lem` from the authors' code, the file `src/psMNIST/network.py` of github.com/tk-rusch/LEM."""

from __future__ import annotations

import numpy as np
import torch
from network import LEMCell  # the folder src/psMNIST in PYTHONPATH

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

DT = 0.7
theirs = LEMCell(INPUT_SIZE, HIDDEN_SIZE, DT).double()
weight_ih, weight_hh = draw(1, 4 * HIDDEN_SIZE, INPUT_SIZE), draw(2, 3 * HIDDEN_SIZE, HIDDEN_SIZE)
weight_zh, bias = draw(3, HIDDEN_SIZE, HIDDEN_SIZE), draw(4, 4 * HIDDEN_SIZE)


def in_their_order(rows: np.ndarray, order: list[int]) -> torch.Tensor:
    """Return the blocks of rows in the order of the authors: the step size of h comes first, and z last."""
    return torch.from_numpy(np.concatenate([np.split(rows, len(order))[block] for block in order]))


with torch.no_grad():
    theirs.inp2hid.weight.copy_(in_their_order(weight_ih, [1, 0, 3, 2]))
    theirs.inp2hid.bias.copy_(in_their_order(bias, [1, 0, 3, 2]))
    theirs.hid2hid.weight.copy_(in_their_order(weight_hh, [1, 0, 2]))
    theirs.transform_z.weight.copy_(torch.from_numpy(weight_zh))
    theirs.hid2hid.bias.zero_()
    theirs.transform_z.bias.zero_()
x, h, z = draw(5, BATCH, TIME, INPUT_SIZE), draw(6, BATCH, HIDDEN_SIZE), draw(7, BATCH, HIDDEN_SIZE)
state, outputs = (torch.from_numpy(h), torch.from_numpy(z)), []
with torch.no_grad():
    for x_t in torch.from_numpy(x).unbind(1):
        state = theirs(x_t, *state)
        outputs.append(state[0])

write(
    "lem",
    computed_by="src/psMNIST/network.py of github.com/tk-rusch/LEM at commit 833da6b",
    parameters={"weight_ih": weight_ih, "weight_hh": weight_hh, "weight_zh": weight_zh, "bias": bias},
    x=x,
    state={"h": h, "z": z},
    output=torch.stack(outputs, 1).numpy(),
    final_state={"h": state[0].numpy(), "z": state[1].numpy()},
    hidden_size=HIDDEN_SIZE,
    options={"dt": DT},
)
