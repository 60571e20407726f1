"""Golden values of `ugrnn` from torchrecurrent 0.2.5, which computes the equations of the paper."""

from __future__ import annotations

import torchrecurrent  # pip install torchrecurrent==0.2.5

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write
from tools.golden.run_cell import run_cell

weight_ih, weight_hh = draw(1, 2 * HIDDEN_SIZE, INPUT_SIZE), draw(2, 2 * HIDDEN_SIZE, HIDDEN_SIZE)
bias, x, h = draw(3, 2 * HIDDEN_SIZE), draw(4, BATCH, TIME, INPUT_SIZE), draw(5, BATCH, HIDDEN_SIZE)
parameters = {"weight_ih": weight_ih, "weight_hh": weight_hh}
theirs = torchrecurrent.UGRNNCell(INPUT_SIZE, HIDDEN_SIZE)
output, final = run_cell(theirs, {**parameters, "bias_ih": bias}, x, (h,))

write(
    "ugrnn",
    computed_by="torchrecurrent 0.2.5, UGRNNCell",
    parameters={**parameters, "bias": bias},
    x=x,
    state={"h": h},
    output=output,
    final_state={"h": final[0]},
    hidden_size=HIDDEN_SIZE,
)
