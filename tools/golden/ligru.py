"""Golden values of `ligru` from NumPy: published code normalizes over the batch, or over both products together."""

from __future__ import annotations

import numpy as np

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, Array, draw, sigmoid, write

w_n, w_z = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE, INPUT_SIZE)
u_n, u_z = draw(3, HIDDEN_SIZE, HIDDEN_SIZE), draw(4, HIDDEN_SIZE, HIDDEN_SIZE)
b_n, b_z = draw(5, HIDDEN_SIZE), draw(6, HIDDEN_SIZE)
a_n, a_z = 1 + draw(7, HIDDEN_SIZE, scale=0.3), 1 + draw(8, HIDDEN_SIZE, scale=0.3)
x, start = draw(9, BATCH, TIME, INPUT_SIZE), draw(10, BATCH, HIDDEN_SIZE)


def norm(v: Array) -> Array:
    centred = v - v.mean(1, keepdims=True)
    return np.asarray(centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5))


h, outputs = start, []
for t in range(TIME):
    z = sigmoid(a_z * norm(x[:, t] @ w_z.T) + h @ u_z.T + b_z)
    n = np.maximum(a_n * norm(x[:, t] @ w_n.T) + h @ u_n.T + b_n, 0)
    h = z * h + (1 - z) * n
    outputs.append(h)

write(
    "ligru",
    computed_by="NumPy, by the equations of the paper with layer normalization in place of batch normalization",
    parameters={
        "weight_ih": np.concatenate([w_n, w_z]),
        "weight_hh": np.concatenate([u_n, u_z]),
        "bias": np.concatenate([b_n, b_z]),
        "gain": np.concatenate([a_n, a_z]),
    },
    x=x,
    state={"h": start},
    output=np.stack(outputs, 1),
    final_state={"h": h},
    hidden_size=HIDDEN_SIZE,
)
