"""Golden values of `peephole_lstm` from torchrecurrent 0.2.5, which computes what TensorFlow Addons does."""

from __future__ import annotations

import torchrecurrent  # pip install torchrecurrent==0.2.5

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write
from tools.golden.run_cell import run_cell

weight_ih, weight_hh = draw(1, 4 * HIDDEN_SIZE, INPUT_SIZE), draw(2, 4 * HIDDEN_SIZE, HIDDEN_SIZE)
bias, peepholes = draw(3, 4 * HIDDEN_SIZE), draw(4, 3 * HIDDEN_SIZE)
x, h, c = draw(5, BATCH, TIME, INPUT_SIZE), draw(6, BATCH, HIDDEN_SIZE), draw(7, BATCH, HIDDEN_SIZE)
parameters = {"weight_ih": weight_ih, "weight_hh": weight_hh}
theirs = torchrecurrent.PeepholeLSTMCell(INPUT_SIZE, HIDDEN_SIZE)
output, final = run_cell(theirs, {**parameters, "bias_ih": bias, "weight_ph": peepholes}, x, (h, c))

write(
    "peephole_lstm",
    computed_by="torchrecurrent 0.2.5, PeepholeLSTMCell",
    parameters={**parameters, "bias": bias, "peepholes": peepholes},
    x=x,
    state={"h": h, "c": c},
    output=output,
    final_state={"h": final[0], "c": final[1]},
    hidden_size=HIDDEN_SIZE,
)
