"""Golden values of `hgrn` from the equations in NumPy: the authors' code needs a GPU."""

from __future__ import annotations

import numpy as np

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, Array, draw, write


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


f, n, g = (draw(seed, HIDDEN_SIZE, INPUT_SIZE) for seed in (1, 2, 3))
b_f, b_n, b_g = (draw(seed, HIDDEN_SIZE) for seed in (4, 5, 6))
norm, out = draw(7, HIDDEN_SIZE), draw(8, HIDDEN_SIZE, HIDDEN_SIZE)
x, h = draw(9, BATCH, TIME, INPUT_SIZE), draw(10, BATCH, HIDDEN_SIZE)
state, outputs = h, []
for x_t in x.swapaxes(0, 1):
    decay, candidate, gate = sigmoid(x_t @ f.T + b_f), x_t @ n.T + b_n, x_t @ g.T + b_g
    state = decay * state + (1 - decay) * candidate * sigmoid(candidate)
    normalized = state / np.sqrt((state**2).mean(-1, keepdims=True) + 1e-5)
    outputs.append((normalized * norm * gate * sigmoid(gate)) @ out.T)

write(
    "hgrn",
    computed_by="the equations of Qin et al., 2023, with a real state, in NumPy",
    parameters={
        "weight_ih": np.concatenate([f, n, g]),
        "bias": np.concatenate([b_f, b_n, b_g]),
        "weight_norm": norm,
        "weight_out": out,
    },
    x=x,
    state={"h": h},
    output=np.stack(outputs, 1),
    final_state={"h": state},
    hidden_size=HIDDEN_SIZE,
)
