"""Golden values of `esn` from reservoirpy 0.4.2."""

from __future__ import annotations

import numpy as np
from reservoirpy.nodes import Reservoir  # pip install --no-deps reservoirpy==0.4.2 scipy joblib

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

LEAK = 0.3
weight_ih, weight_hh, bias = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE, HIDDEN_SIZE), draw(3, HIDDEN_SIZE)
x, h = draw(4, BATCH, TIME, INPUT_SIZE), draw(5, BATCH, HIDDEN_SIZE)
outputs = []
for sequence, start in zip(x, h, strict=True):
    theirs = Reservoir(units=HIDDEN_SIZE, lr=LEAK, W=weight_hh, Win=weight_ih, bias=bias)
    theirs.initialize(sequence)
    theirs.state = {"out": start}
    outputs.append(theirs.run(sequence))
output = np.stack(outputs)

write(
    "esn",
    computed_by="reservoirpy 0.4.2, Reservoir",
    parameters={"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias},
    x=x,
    state={"h": h},
    output=output,
    final_state={"h": output[:, -1]},
    hidden_size=HIDDEN_SIZE,
    options={"leak": LEAK},
)
