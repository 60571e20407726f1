"""Golden values of `rhn` from NumPy: its authors' code needs TensorFlow 1."""

from __future__ import annotations

import numpy as np

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, sigmoid, write

DEPTH = 3
w_h, w_t = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE, INPUT_SIZE)
r_h, r_t = draw(3, DEPTH, HIDDEN_SIZE, HIDDEN_SIZE), draw(4, DEPTH, HIDDEN_SIZE, HIDDEN_SIZE)
b_h, b_t = draw(5, DEPTH, HIDDEN_SIZE), draw(6, DEPTH, HIDDEN_SIZE)
x, start = draw(7, BATCH, TIME, INPUT_SIZE), draw(8, BATCH, HIDDEN_SIZE)

state, outputs = start, []
for step in range(TIME):
    for layer in range(DEPTH):
        from_input = (x[:, step] @ w_h.T, x[:, step] @ w_t.T) if layer == 0 else (0, 0)
        h = np.tanh(from_input[0] + state @ r_h[layer].T + b_h[layer])
        t = sigmoid(from_input[1] + state @ r_t[layer].T + b_t[layer])
        state = (h - state) * t + state
    outputs.append(state)

write(
    "rhn",
    computed_by="NumPy, by the equations of the paper in the form of its authors' code",
    parameters={
        "weight_ih": np.concatenate([w_h, w_t]),
        "weight_hh": np.concatenate([matrix for pair in zip(r_h, r_t, strict=True) for matrix in pair]),
        "bias": np.concatenate([vector for pair in zip(b_h, b_t, strict=True) for vector in pair]),
    },
    x=x,
    state={"h": start},
    output=np.stack(outputs, 1),
    final_state={"h": state},
    hidden_size=HIDDEN_SIZE,
    options={"depth": DEPTH},
)
