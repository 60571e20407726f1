"""Golden values of `fastrnn` from the code of its authors: the folder pytorch of github.com/microsoft/EdgeML."""

from __future__ import annotations

from edgeml_pytorch.graph.rnn import FastRNNCell  # at the commit below, on PYTHONPATH

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write
from tools.golden.run_cell import run_cell

COMMIT = "81025fc"
x, h, bias = draw(1, BATCH, TIME, INPUT_SIZE), draw(2, BATCH, HIDDEN_SIZE), draw(3, HIDDEN_SIZE)
alpha, beta = draw(4, 1), draw(5, 1)
weight_ih, weight_hh = draw(6, HIDDEN_SIZE, INPUT_SIZE), draw(7, HIDDEN_SIZE, HIDDEN_SIZE)
theirs = {"W": weight_ih.T, "U": weight_hh.T, "bias_update": bias[None], "alpha": alpha[None], "beta": beta[None]}
output, final = run_cell(FastRNNCell(INPUT_SIZE, HIDDEN_SIZE), theirs, x, (h,))

write(
    "fastrnn",
    computed_by=f"its authors' code, EdgeML {COMMIT}, FastRNNCell",
    parameters={"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias, "alpha": alpha, "beta": beta},
    x=x,
    state={"h": h},
    output=output,
    final_state={"h": final[0]},
    hidden_size=HIDDEN_SIZE,
)
