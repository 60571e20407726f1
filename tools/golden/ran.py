"""Golden values of `ran` from torchrecurrent 0.2.5, which computes what its authors' code for TensorFlow 1 does."""

from __future__ import annotations

import numpy as np
import torchrecurrent  # pip install torchrecurrent==0.2.5

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write
from tools.golden.run_cell import run_cell

weight_ih, weight_in = draw(1, 2 * HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE, INPUT_SIZE)
weight_hh, bias = draw(3, 2 * HIDDEN_SIZE, HIDDEN_SIZE), draw(4, 2 * HIDDEN_SIZE)
x, h, c = draw(5, BATCH, TIME, INPUT_SIZE), draw(6, BATCH, HIDDEN_SIZE), draw(7, BATCH, HIDDEN_SIZE)
theirs = {"weight_ih": np.concatenate([weight_in, weight_ih]), "weight_hh": weight_hh, "bias_ih": bias}
output, final = run_cell(torchrecurrent.RANCell(INPUT_SIZE, HIDDEN_SIZE), theirs, x, (h, c))

write(
    "ran",
    computed_by="torchrecurrent 0.2.5, RANCell",
    parameters={"weight_ih": weight_ih, "weight_in": weight_in, "weight_hh": weight_hh, "bias": bias},
    x=x,
    state={"h": h, "c": c},
    output=output,
    final_state={"h": final[0], "c": final[1]},
    hidden_size=HIDDEN_SIZE,
)
