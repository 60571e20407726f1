"""Golden values of `exprnn` from the authors' code, the file `orthogonal.py` of github.com/Lezcano/expRNN.

Their own exponential needs an older torch; `torch.linalg.matrix_exp` takes its place.
"""

from __future__ import annotations

import numpy as np
import torch
from orthogonal import OrthogonalRNN  # github.com/Lezcano/expRNN in PYTHONPATH

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

weight_ih, bias = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE)
weight_hh = np.triu(draw(3, HIDDEN_SIZE, HIDDEN_SIZE), 1)
theirs = OrthogonalRNN(INPUT_SIZE, HIDDEN_SIZE, torch.nn.init.zeros_, "static", torch.linalg.matrix_exp).double()
with torch.no_grad():
    theirs.input_kernel.weight.copy_(torch.from_numpy(weight_ih))
    theirs.nonlinearity.b.copy_(torch.from_numpy(bias))
    # their matrix multiplies from the right
    theirs.recurrent_kernel.A.copy_(torch.from_numpy(-weight_hh))
x, h = draw(4, BATCH, TIME, INPUT_SIZE), draw(5, BATCH, HIDDEN_SIZE)
state, outputs = torch.from_numpy(h), []
for x_t in torch.from_numpy(x).unbind(1):
    output, state = theirs(x_t, state)
    outputs.append(output.detach())

write(
    "exprnn",
    computed_by="orthogonal.py of github.com/Lezcano/expRNN at commit 830ec83",
    parameters={"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias},
    x=x,
    state={"h": h},
    output=torch.stack(outputs, 1).numpy(),
    final_state={"h": state.detach().numpy()},
    hidden_size=HIDDEN_SIZE,
)
