"""Golden values of `indrnn` from the authors' file `IndRNN_onlyrecurrent.py` of Sunnydreamrain/IndRNN_pytorch."""

from __future__ import annotations

import torch
from IndRNN_onlyrecurrent import IndRNNCell_onlyrecurrent  # github.com/Sunnydreamrain/IndRNN_pytorch in PYTHONPATH

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

weight_ih, weight_hh, bias = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE), draw(3, HIDDEN_SIZE)
theirs = IndRNNCell_onlyrecurrent(HIDDEN_SIZE, recurrent_init=lambda weight: weight.data.zero_()).double()
x, h = draw(4, BATCH, TIME, INPUT_SIZE), draw(5, BATCH, HIDDEN_SIZE)
state, outputs = torch.from_numpy(h), []
with torch.no_grad():
    theirs.weight_hh.copy_(torch.from_numpy(weight_hh))
    for x_t in torch.from_numpy(x @ weight_ih.T + bias).unbind(1):
        state = theirs(x_t, state)
        outputs.append(state)

write(
    "indrnn",
    computed_by="IndRNN_onlyrecurrent.py of github.com/Sunnydreamrain/IndRNN_pytorch at commit 9b9cb4c",
    parameters={"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias},
    x=x,
    state={"h": h},
    output=torch.stack(outputs, 1).numpy(),
    final_state={"h": state.numpy()},
    hidden_size=HIDDEN_SIZE,
)
