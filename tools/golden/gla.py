"""Golden values of `gla` from flash-linear-attention 0.6.0, by authors of GLA and HGRN2."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tools.golden.naive_fla import VERSION, naive, of_heads, to_numpy
from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

HEADS, SIZE, RANK = 2, HIDDEN_SIZE // 2, 3
weight_ih, bias = draw(1, 3 * HIDDEN_SIZE, INPUT_SIZE), draw(2, HIDDEN_SIZE)
weight_down, weight_up = draw(3, RANK, INPUT_SIZE), draw(4, HIDDEN_SIZE, RANK)
x, s = draw(5, BATCH, TIME, INPUT_SIZE), draw(6, BATCH, HEADS, SIZE, SIZE)
z = np.abs(draw(7, BATCH, HEADS, SIZE, 1))
q, k, v = (of_heads(each, HEADS) for each in np.split(x @ weight_ih.T, 3, -1))
initial = torch.from_numpy(s)


def record(decay: str, output: Tensor, final: Tensor, *names: str, state: Tensor = initial) -> None:
    """Write the file of one kind of decay."""
    parameters = {"weight_down": weight_down, "weight_up": weight_up, "bias": bias}
    write(
        "gla",
        computed_by=f"{VERSION}, step by step",
        parameters={"weight_ih": weight_ih, **{name: parameters[name] for name in names}},
        x=x,
        state={"S": to_numpy(state)},
        output=to_numpy(output.flatten(-2)),
        final_state={"S": to_numpy(final)},
        variant="" if decay == "feature" else decay,
        hidden_size=HIDDEN_SIZE,
        options={"decay": decay, "heads": HEADS, "gate_rank": RANK},
    )


gate = of_heads(x @ weight_down.T @ weight_up.T + bias, HEADS)
y, s_feature = naive("gla").naive_recurrent_gla(q, k, v, F.logsigmoid(gate) / 16, initial, output_final_state=True)
record("feature", y, s_feature, "weight_down", "weight_up", "bias")

log_f = F.logsigmoid(k + of_heads(bias, HEADS))
y, s_tied = naive("gla").naive_recurrent_gla(F.silu(q), 1 - log_f.exp(), v, log_f, initial, output_final_state=True)
record("tied", y, s_tied, "bias")

log_gamma = torch.log(1 - 2.0 ** (-5 - torch.arange(HEADS, dtype=torch.float64))).expand(BATCH, TIME, HEADS)
y, s_head = naive("simple_gla").naive_recurrent_simple_gla(q, k, v, log_gamma, initial_state=initial)
record("head", y, s_head)

counts = torch.from_numpy(z)
y, (s_none, z_none) = naive("linear_attn").naive_recurrent_linear_attn(
    F.elu(q) + 1,
    F.elu(k) + 1,
    v,
    initial_state=(initial, counts[..., 0][:, None]),
    output_final_state=True,
    normalize=True,
)
final = torch.cat([s_none, z_none[:, 0, :, :, None]], -1)
record("none", y, final, state=torch.cat([initial, counts], -1))
