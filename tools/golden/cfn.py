"""Golden values of `cfn` from torchrecurrent 0.2.5, which computes the equations of the paper without a third bias."""

from __future__ import annotations

import numpy as np
import torchrecurrent  # pip install torchrecurrent==0.2.5

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write
from tools.golden.run_cell import run_cell

weight_ih, weight_in = draw(1, 2 * HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE, INPUT_SIZE)
weight_hh, bias = draw(3, 2 * HIDDEN_SIZE, HIDDEN_SIZE), draw(4, 2 * HIDDEN_SIZE)
x, h = draw(5, BATCH, TIME, INPUT_SIZE), draw(6, BATCH, HIDDEN_SIZE)
theirs = {
    "weight_ih": np.concatenate([weight_ih, weight_in]),
    "weight_hh": weight_hh,
    "bias_ih": np.concatenate([bias, np.zeros(HIDDEN_SIZE)]),
}
output, final = run_cell(torchrecurrent.CFNCell(INPUT_SIZE, HIDDEN_SIZE), theirs, x, (h,))

write(
    "cfn",
    computed_by="torchrecurrent 0.2.5, CFNCell",
    parameters={"weight_ih": weight_ih, "weight_in": weight_in, "weight_hh": weight_hh, "bias": bias},
    x=x,
    state={"h": h},
    output=output,
    final_state={"h": final[0]},
    hidden_size=HIDDEN_SIZE,
)
