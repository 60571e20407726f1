"""Golden values of `antisymmetric` from a formula in NumPy, written from the paper: the authors published no code."""

from __future__ import annotations

import numpy as np

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

EPSILON, GAMMA = 0.3, 0.2
weight_ih, weight_hh = draw(1, 2 * HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE, HIDDEN_SIZE)
bias, x, start = draw(3, 2 * HIDDEN_SIZE), draw(4, BATCH, TIME, INPUT_SIZE), draw(5, BATCH, HIDDEN_SIZE)


def compute(*, gated: bool) -> np.ndarray:
    """Return the states of all steps: equation 12 of the paper, or 13 with the gate."""
    matrix = weight_hh - weight_hh.T - GAMMA * np.identity(HIDDEN_SIZE)
    (v_h, v_z), (b_h, b_z) = np.split(weight_ih, 2), np.split(bias, 2)
    h, states = start, []
    for x_t in np.moveaxis(x, 1, 0):
        a = np.einsum("ij,bj->bi", matrix, h)
        gate = 1 / (1 + np.exp(-(a + x_t @ v_z.T + b_z))) if gated else 1.0
        h = h + EPSILON * gate * np.tanh(a + x_t @ v_h.T + b_h)
        states.append(h)
    return np.stack(states, 1)


for is_gated in (False, True):
    output = compute(gated=is_gated)
    rows = HIDDEN_SIZE * (1 + is_gated)
    write(
        "antisymmetric",
        variant="gated" if is_gated else "",
        computed_by="a formula in NumPy",
        parameters={"weight_ih": weight_ih[:rows], "weight_hh": weight_hh, "bias": bias[:rows]},
        x=x,
        state={"h": start},
        output=output,
        final_state={"h": output[:, -1]},
        hidden_size=HIDDEN_SIZE,
        options={"epsilon": EPSILON, "gamma": GAMMA, "gated": is_gated},
    )
