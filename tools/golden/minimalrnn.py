"""Golden values of `minimalrnn` from torchrecurrent 0.2.5, which computes the equations of the paper."""

from __future__ import annotations

import torchrecurrent  # pip install torchrecurrent==0.2.5

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write
from tools.golden.run_cell import run_cell

weight_in, weight_ih = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE, HIDDEN_SIZE)
weight_hh, bias_in, bias = draw(3, HIDDEN_SIZE, HIDDEN_SIZE), draw(4, HIDDEN_SIZE), draw(5, HIDDEN_SIZE)
x, h = draw(6, BATCH, TIME, INPUT_SIZE), draw(7, BATCH, HIDDEN_SIZE)
theirs = {"weight_ih": weight_in, "weight_mm": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_in, "bias_hh": bias}
output, final = run_cell(torchrecurrent.MinimalRNNCell(INPUT_SIZE, HIDDEN_SIZE), theirs, x, (h,))

write(
    "minimalrnn",
    computed_by="torchrecurrent 0.2.5, MinimalRNNCell",
    parameters={
        "weight_in": weight_in,
        "weight_ih": weight_ih,
        "weight_hh": weight_hh,
        "bias_in": bias_in,
        "bias": bias,
    },
    x=x,
    state={"h": h},
    output=output,
    final_state={"h": final[0]},
    hidden_size=HIDDEN_SIZE,
)
