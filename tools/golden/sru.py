"""Golden values of `sru` from sru 2.6.0, the authors' code, without its compiled operators."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils import cpp_extension

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

# Its module compiles operators when it is imported, which its code in Python does not need.
cpp_extension.load = lambda *_args, **_kwargs: None
setattr(torch.jit, "script", lambda function: function)  # noqa: B010
from sru import SRUCell  # noqa: E402  # pip install --no-deps sru==2.6.0

n, f, r, highway = (draw(seed, HIDDEN_SIZE, INPUT_SIZE) for seed in (1, 2, 3, 4))
v, bias = draw(5, 2 * HIDDEN_SIZE), draw(6, 2 * HIDDEN_SIZE)
x, h = draw(7, BATCH, TIME, INPUT_SIZE), draw(8, BATCH, HIDDEN_SIZE)

theirs = SRUCell(INPUT_SIZE, HIDDEN_SIZE).double()
with torch.no_grad():
    # its columns are those of the four matrices for one feature after the other
    theirs.weight.copy_(torch.from_numpy(np.stack([n, f, r, highway]).transpose(2, 1, 0).reshape(INPUT_SIZE, -1)))
    theirs.weight_c.copy_(torch.from_numpy(v))
    theirs.bias.copy_(torch.from_numpy(bias))
output, final = theirs(torch.from_numpy(x.swapaxes(0, 1)), torch.from_numpy(h))

write(
    "sru",
    computed_by="sru 2.6.0",
    parameters={"weight_ih": np.concatenate([n, f, r, highway]), "weight_peephole": v, "bias": bias},
    x=x,
    state={"h": h},
    output=output.detach().numpy().swapaxes(0, 1),
    final_state={"h": final.detach().numpy()},
    hidden_size=HIDDEN_SIZE,
)
