"""Golden values of `fastgrnn` from the code of its authors: the folder pytorch of github.com/microsoft/EdgeML."""

from __future__ import annotations

import numpy as np
from edgeml_pytorch.graph.rnn import FastGRNNCell  # at the commit below, on PYTHONPATH

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write
from tools.golden.run_cell import run_cell

RANK = 2
COMMIT = "81025fc"
x, h = draw(1, BATCH, TIME, INPUT_SIZE), draw(2, BATCH, HIDDEN_SIZE)
b_z, b_n, zeta, nu = draw(3, HIDDEN_SIZE), draw(4, HIDDEN_SIZE), draw(5, 1), draw(6, 1)
full = {"W": draw(7, HIDDEN_SIZE, INPUT_SIZE), "U": draw(8, HIDDEN_SIZE, HIDDEN_SIZE)}
low = {
    "W1": draw(9, RANK, INPUT_SIZE),
    "W2": draw(10, HIDDEN_SIZE, RANK),
    "U1": draw(11, RANK, HIDDEN_SIZE),
    "U2": draw(12, HIDDEN_SIZE, RANK),
}
OURS = {"W": "weight_ih", "U": "weight_hh", "W1": "weight_ih_right", "W2": "weight_ih"}
OURS |= {"U1": "weight_hh_right", "U2": "weight_hh"}

for variant, weights, rank in (("", full, None), ("low_rank", low, RANK)):
    others = {"bias_gate": b_z[None], "bias_update": b_n[None], "zeta": zeta[None], "nu": nu[None]}
    theirs = FastGRNNCell(INPUT_SIZE, HIDDEN_SIZE, wRank=rank, uRank=rank)
    output, final = run_cell(theirs, {**{name: weight.T for name, weight in weights.items()}, **others}, x, (h,))
    parameters = {OURS[name]: weight for name, weight in weights.items()}
    write(
        "fastgrnn",
        variant=variant,
        computed_by=f"its authors' code, EdgeML {COMMIT}, FastGRNNCell",
        parameters={**parameters, "bias": np.concatenate([b_z, b_n]), "zeta": zeta, "nu": nu},
        x=x,
        state={"h": h},
        output=output,
        final_state={"h": final[0]},
        hidden_size=HIDDEN_SIZE,
        options={"input_rank": rank, "recurrent_rank": rank},
    )
