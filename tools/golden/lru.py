"""Golden values of `lru` from LRU-pytorch 0.1.3, without a GLU, one sequence at a time."""

from __future__ import annotations

import numpy as np
import torch
from LRU_pytorch import LRU  # pip install --no-deps LRU-pytorch==0.1.3

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

STATES = 3
torch.set_default_dtype(torch.float64)  # of its outputs
theirs = LRU(INPUT_SIZE, HIDDEN_SIZE, STATES)
b_re, b_im = draw(1, STATES, INPUT_SIZE), draw(2, STATES, INPUT_SIZE)
c_re, c_im = draw(3, HIDDEN_SIZE, STATES), draw(4, HIDDEN_SIZE, STATES)
skip, nu, theta, gamma = draw(5, HIDDEN_SIZE, INPUT_SIZE), draw(6, STATES), draw(7, STATES), draw(8, STATES)
x, re, im = draw(9, BATCH, TIME, INPUT_SIZE), draw(10, BATCH, STATES), draw(11, BATCH, STATES)
values = {"B": b_re + 1j * b_im, "C": c_re + 1j * c_im, "D": skip, "nu_log": nu, "theta_log": theta, "gamma_log": gamma}


def outputs(sequence: np.ndarray, state: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Run one sequence step by step: a whole one forgets its final state."""
    found, last = [], torch.from_numpy(state)
    for x_t in torch.from_numpy(sequence).split(1):
        found.append(theirs(x_t, last)[0].numpy())
        last = eigenvalues * last + torch.exp(theirs.gamma_log) * (theirs.B @ x_t[0].to(theirs.B.dtype))
    return found, last.numpy()


with torch.no_grad():
    for name, parameter in theirs.named_parameters():
        parameter.copy_(torch.from_numpy(values[name]))
    eigenvalues = torch.polar(torch.exp(-torch.exp(theirs.nu_log)), torch.exp(theirs.theta_log))
    results = [outputs(*pair) for pair in zip(x, re + 1j * im, strict=True)]

final = np.array([last for _, last in results])
write(
    "lru",
    computed_by="LRU-pytorch 0.1.3",
    parameters={
        "weight_ih": np.concatenate([b_re, b_im]),
        "weight_out": np.concatenate([c_re, c_im]),
        "weight_skip": skip,
        "log_nu": nu,
        "log_theta": theta,
        "log_gamma": gamma,
    },
    x=x,
    state={"re": re, "im": im},
    output=np.array([found for found, _ in results]),
    final_state={"re": final.real, "im": final.imag},
    hidden_size=HIDDEN_SIZE,
    options={"state_size": STATES, "output": "none"},
)
