"""Golden values of `janet` from NumPy: its authors' code needs TensorFlow 1, and torchrecurrent trains beta."""

from __future__ import annotations

import numpy as np

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, sigmoid, write

w_f, w_n = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE, INPUT_SIZE)
u_f, u_n = draw(3, HIDDEN_SIZE, HIDDEN_SIZE), draw(4, HIDDEN_SIZE, HIDDEN_SIZE)
b_f, b_n = draw(5, HIDDEN_SIZE), draw(6, HIDDEN_SIZE)
x, start = draw(7, BATCH, TIME, INPUT_SIZE), draw(8, BATCH, HIDDEN_SIZE)

h, outputs = start, []
for t in range(TIME):
    s = x[:, t] @ w_f.T + h @ u_f.T + b_f
    h = sigmoid(s) * h + sigmoid(1 - s) * np.tanh(x[:, t] @ w_n.T + h @ u_n.T + b_n)
    outputs.append(h)

write(
    "janet",
    computed_by="NumPy, by the equations of the paper with beta = 1 in the form of its authors' code",
    parameters={
        "weight_ih": np.concatenate([w_f, w_n]),
        "weight_hh": np.concatenate([u_f, u_n]),
        "bias": np.concatenate([b_f, b_n]),
    },
    x=x,
    state={"h": start},
    output=np.stack(outputs, 1),
    final_state={"h": h},
    hidden_size=HIDDEN_SIZE,
)
