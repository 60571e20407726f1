"""Golden values of `selective_ssm` from mambapy 1.2.0, one step at a time: its scan, and its block with `conv`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mambapy.mamba import MambaBlock, MambaConfig  # pip install --no-deps mambapy==1.2.0

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

STATES, RANK, CONV = 3, 2, 4
GATE = 1.2784645427610738  # its SiLU is 1, so that the gate of the block, which the kind does not have, changes nothing
linear, selection = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, RANK + 2 * STATES, HIDDEN_SIZE)
step, bias = draw(3, HIDDEN_SIZE, RANK), draw(4, HIDDEN_SIZE)
decay, skip = draw(5, HIDDEN_SIZE, STATES), draw(6, HIDDEN_SIZE)
x, h = draw(7, BATCH, TIME, INPUT_SIZE), draw(8, BATCH, HIDDEN_SIZE, STATES)
kernel, shift, tail = draw(9, HIDDEN_SIZE, 1, CONV), draw(10, HIDDEN_SIZE), draw(11, BATCH, CONV - 1, HIDDEN_SIZE)

setattr(torch.Tensor, "float", torch.Tensor.double)  # noqa: B010  # it reads two parameters in float32
sizes = {"d_model": HIDDEN_SIZE, "expand_factor": 1, "dt_rank": RANK, "d_state": STATES, "d_conv": CONV}
theirs = MambaBlock(MambaConfig(n_layers=1, bias=True, **sizes)).double()
identity, zeros = np.eye(HIDDEN_SIZE), np.zeros(HIDDEN_SIZE)
values = {
    "in_proj.weight": np.concatenate([identity, 0 * identity]),
    "in_proj.bias": np.concatenate([zeros, zeros + GATE]),
    "conv1d.weight": kernel,
    "conv1d.bias": shift,
    "x_proj.weight": selection,
    "dt_proj.weight": step,
    "dt_proj.bias": bias,
    "A_log": decay,
    "D": skip,
    "out_proj.weight": identity,
    "out_proj.bias": zeros,
}
theirs.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()})


@torch.no_grad()
def run(step_of: Any, state: Any) -> tuple[Any, Any]:
    """Return the outputs and the final state of steps on the mapped input."""
    outputs = []
    for u_t in torch.from_numpy(x @ linear.T).unbind(1):
        output, state = step_of(u_t, state)
        outputs.append(output)
    return torch.stack(outputs, 1).numpy(), state


output, final = run(theirs.ssm_step, torch.from_numpy(h))
convolved, cache = run(theirs.step, (torch.from_numpy(h), torch.from_numpy(tail.swapaxes(1, 2))))
parameters = {
    "weight_ih": linear,
    "weight_selection": selection,
    "weight_step": step,
    "bias": bias,
    "log_decay": decay,
    "weight_skip": skip,
}
shared: dict[str, Any] = {"computed_by": "mambapy 1.2.0", "x": x, "hidden_size": HIDDEN_SIZE}
options = {"state_size": STATES, "rank": RANK}
write(
    "selective_ssm",
    parameters=parameters,
    state={"h": h},
    output=output,
    final_state={"h": final.numpy()},
    **shared,
    options=options,
)
write(
    "selective_ssm",
    variant="conv",
    parameters={**parameters, "convolution.weight": kernel, "convolution.bias": shift},
    state={"h": h, "tail": tail},
    output=convolved,
    final_state={"h": cache[0].numpy(), "tail": cache[1].mT.numpy()},
    **shared,
    options={**options, "conv": CONV},
)
