"""Golden values of `s5` from s5-pytorch 0.2.1, without a GLU."""

from __future__ import annotations

import numpy as np
import torch
from s5.s5_model import apply_ssm, discretize_zoh  # pip install --no-deps s5-pytorch==0.2.1

from tools.golden.record import BATCH, HIDDEN_SIZE, TIME, draw, write

STATES = 3
re, im, log_step = -np.abs(draw(1, STATES)), draw(2, STATES), draw(3, STATES)
b_re, b_im = draw(4, STATES, HIDDEN_SIZE), draw(5, STATES, HIDDEN_SIZE)
c_re, c_im, skip = draw(6, HIDDEN_SIZE, STATES), draw(7, HIDDEN_SIZE, STATES), draw(8, HIDDEN_SIZE)
x, h_re, h_im = draw(9, BATCH, TIME, HIDDEN_SIZE), draw(10, BATCH, STATES), draw(11, BATCH, STATES)

matrices = discretize_zoh(*map(torch.from_numpy, (re + 1j * im, b_re + 1j * b_im, np.exp(log_step))))
c = torch.from_numpy(2 * (c_re + 1j * c_im))  # it has no factor for pairs of conjugates
states = torch.from_numpy(h_re + 1j * h_im)
results = [
    apply_ssm(*matrices, c, torch.from_numpy(skip), sequence, state)
    for sequence, state in zip(torch.from_numpy(x), states, strict=True)
]
final = np.array([last.numpy() for _, last in results])

write(
    "s5",
    computed_by="s5-pytorch 0.2.1",
    parameters={
        "eigenvalues": np.stack([re, im]),
        "log_step": log_step,
        "weight_ih": np.concatenate([b_re, b_im]),
        "weight_out": np.concatenate([c_re, c_im]),
        "weight_skip": np.diag(skip),
    },
    x=x,
    state={"re": h_re, "im": h_im},
    output=np.array([output.numpy() for output, _ in results]),
    final_state={"re": final.real, "im": final.imag},
    hidden_size=HIDDEN_SIZE,
    options={"state_size": STATES, "output": "none"},
)
