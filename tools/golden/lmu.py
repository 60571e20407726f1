"""Golden values of `lmu` from SciPy's zero-order hold and a formula in NumPy, written from the paper."""

from __future__ import annotations

import numpy as np
from scipy.signal import cont2discrete  # pip install scipy==1.17.1

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

ORDER, THETA, MEMORY_SIZE = 3, 6.5, 2
SIZES = {"i": INPUT_SIZE, "h": HIDDEN_SIZE, "m": MEMORY_SIZE * ORDER}
encoders = {source: draw(seed, MEMORY_SIZE, size) for seed, (source, size) in enumerate(SIZES.items(), 1)}
kernels = {source: draw(seed, HIDDEN_SIZE, size) for seed, (source, size) in enumerate(SIZES.items(), 4)}
x, h_0, m_0 = draw(7, BATCH, TIME, INPUT_SIZE), draw(8, BATCH, HIDDEN_SIZE), draw(9, BATCH, MEMORY_SIZE * ORDER)


def transition() -> tuple[np.ndarray, np.ndarray]:
    """Return both matrices of one signal: A and B of the paper, discrete at steps of 1."""
    a, b = np.zeros((ORDER, ORDER)), np.zeros((ORDER, 1))
    for i in range(ORDER):
        b[i] = (2 * i + 1) * (-1) ** i / THETA
        for j in range(ORDER):
            a[i, j] = (2 * i + 1) / THETA * (-1 if i < j else (-1) ** (i - j + 1))
    discrete = cont2discrete((a, b, np.zeros((1, ORDER)), np.zeros((1, 1))), dt=1.0, method="zoh")
    return discrete[0], discrete[1]


matrix, column = transition()
h, m, outputs = h_0, m_0.reshape(BATCH, MEMORY_SIZE, ORDER), []
for x_t in np.moveaxis(x, 1, 0):
    u = x_t @ encoders["i"].T + h @ encoders["h"].T + m.reshape(BATCH, -1) @ encoders["m"].T
    m = np.einsum("ij,bsj->bsi", matrix, m) + u[:, :, None] * column[:, 0]
    h = np.tanh(x_t @ kernels["i"].T + h @ kernels["h"].T + m.reshape(BATCH, -1) @ kernels["m"].T)
    outputs.append(h)

write(
    "lmu",
    computed_by="SciPy 1.17.1, cont2discrete, and a formula in NumPy",
    parameters={
        **{f"weight_{source}u": weight for source, weight in encoders.items()},
        **{f"weight_{source}h": weight for source, weight in kernels.items()},
        "matrix": np.kron(np.identity(MEMORY_SIZE), matrix),
        "column": np.kron(np.identity(MEMORY_SIZE), column),
    },
    x=x,
    state={"h": h_0, "m": m_0},
    output=np.stack(outputs, 1),
    final_state={"h": h, "m": m.reshape(BATCH, -1)},
    hidden_size=HIDDEN_SIZE,
    options={"order": ORDER, "theta": THETA, "memory_size": MEMORY_SIZE},
)
