"""Golden values of `mogrifier_lstm` from NumPy: its authors' code needs TensorFlow 1, and adds biases."""

from __future__ import annotations

import numpy as np

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, sigmoid, write

ROUNDS = 5
w, u, b = draw(1, 4, HIDDEN_SIZE, INPUT_SIZE), draw(2, 4, HIDDEN_SIZE, HIDDEN_SIZE), draw(3, 4, HIDDEN_SIZE)
sizes = [(INPUT_SIZE, HIDDEN_SIZE), (HIDDEN_SIZE, INPUT_SIZE)]
rounds = [draw(10 + index, *sizes[index % 2]) for index in range(ROUNDS)]
x, h_0, c_0 = draw(7, BATCH, TIME, INPUT_SIZE), draw(8, BATCH, HIDDEN_SIZE), draw(9, BATCH, HIDDEN_SIZE)

h, c, outputs = h_0, c_0, []
for t in range(TIME):
    x_t = x[:, t]
    for index, matrix in enumerate(rounds):
        if index % 2 == 0:
            x_t = 2 * sigmoid(h @ matrix.T) * x_t
        else:
            h = 2 * sigmoid(x_t @ matrix.T) * h
    i, f, g, o = (x_t @ w[gate].T + h @ u[gate].T + b[gate] for gate in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    outputs.append(h)

write(
    "mogrifier_lstm",
    computed_by="NumPy, by the equations of the paper",
    parameters={
        "weight_ih": np.concatenate(w),
        "weight_hh": np.concatenate(u),
        "bias": np.concatenate(b),
        **{f"weight_hx.{index}": matrix for index, matrix in enumerate(rounds)},
    },
    x=x,
    state={"h": h_0, "c": c_0},
    output=np.stack(outputs, 1),
    final_state={"h": h, "c": c},
    hidden_size=HIDDEN_SIZE,
    options={"rounds": ROUNDS},
)
