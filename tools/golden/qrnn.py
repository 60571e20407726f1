"""Golden values of `qrnn` from the equations in NumPy: the authors' code needs a GPU."""

from __future__ import annotations

import numpy as np

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, Array, draw, write


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


before, now = draw(1, 3 * HIDDEN_SIZE, INPUT_SIZE), draw(2, 3 * HIDDEN_SIZE, INPUT_SIZE)
bias = draw(3, 3 * HIDDEN_SIZE)
x, h, tail = draw(4, BATCH, TIME, INPUT_SIZE), draw(5, BATCH, HIDDEN_SIZE), draw(6, BATCH, 1, INPUT_SIZE)
state, outputs = h, []
for x_before, x_t in zip(np.concatenate([tail, x], 1).swapaxes(0, 1), x.swapaxes(0, 1), strict=False):
    z, f, o = np.split(x_before @ before.T + x_t @ now.T + bias, 3, -1)
    state = sigmoid(f) * state + (1 - sigmoid(f)) * np.tanh(z)
    outputs.append(sigmoid(o) * state)

write(
    "qrnn",
    computed_by="the equations of Bradbury et al., 2016, in NumPy",
    parameters={"convolution.weight": np.stack([before, now], -1), "convolution.bias": bias},
    x=x,
    state={"h": h, "tail": tail},
    output=np.stack(outputs, 1),
    final_state={"h": state, "tail": x[:, -1:]},
    hidden_size=HIDDEN_SIZE,
)
