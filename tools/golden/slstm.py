"""Golden values of `slstm` from xlstm 2.0.6, by its authors."""

from __future__ import annotations

import numpy as np
import torch
from xlstm.blocks.slstm.src.vanilla.slstm import slstm_forward_pointwise  # pip install --no-deps xlstm==2.0.6

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

HEADS = 2
weight_ih, bias = draw(1, 4 * HIDDEN_SIZE, INPUT_SIZE), draw(2, 4 * HIDDEN_SIZE)
blocks = draw(3, 4, HEADS, HIDDEN_SIZE // HEADS, HIDDEN_SIZE // HEADS)  # they order the gates i, f, z, o, as we do
x = draw(4, BATCH, TIME, INPUT_SIZE)
start = np.zeros((4, BATCH, HIDDEN_SIZE))

states, outputs = torch.from_numpy(start), []
for t in range(TIME):
    heads = states[0].view(BATCH, HEADS, -1)
    recurrence = torch.einsum("bhj,ghij->bghi", heads, torch.from_numpy(blocks)).reshape(BATCH, -1)
    products = torch.from_numpy(x[:, t] @ weight_ih.T)
    states, _ = slstm_forward_pointwise(products, recurrence, torch.from_numpy(bias[None]), states, {})
    outputs.append(states[0].numpy())
parts = dict(zip("hcnm", states.numpy(), strict=True))

write(
    "slstm",
    computed_by="xlstm 2.0.6, slstm_forward_pointwise",
    parameters={"weight_ih": weight_ih, "weight_hh": blocks.reshape(4 * HIDDEN_SIZE, -1), "bias": bias},
    x=x,
    state=dict(zip("hcnm", start, strict=True)),
    output=np.stack(outputs, 1),
    final_state=parts,
    hidden_size=HIDDEN_SIZE,
    options={"heads": HEADS},
)
