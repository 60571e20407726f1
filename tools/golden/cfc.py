"""Golden values of `cfc` from ncps 1.0.1, the package of the authors, with equal and with other times between steps."""

from __future__ import annotations

import numpy as np
import torch
from ncps.torch import CfCCell  # pip install --no-deps ncps==1.0.1

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write

UNITS = 5
weights = [draw(1, UNITS, INPUT_SIZE), draw(2, UNITS, HIDDEN_SIZE), draw(3, UNITS, UNITS)]
targets, biases = draw(4, 4 * HIDDEN_SIZE, UNITS), [draw(5, UNITS), draw(6, UNITS), draw(7, 4 * HIDDEN_SIZE)]
x, h, times = draw(8, BATCH, TIME, INPUT_SIZE), draw(9, BATCH, HIDDEN_SIZE), np.abs(draw(10, BATCH, TIME, 1))


def make_theirs(mode: str) -> CfCCell:
    """Return the cell of the authors."""
    theirs = CfCCell(INPUT_SIZE, HIDDEN_SIZE, mode=mode, backbone_units=UNITS, backbone_layers=2).double()
    layers = [theirs.backbone[0], theirs.backbone[2], theirs.ff1, theirs.ff2, theirs.time_a, theirs.time_b]
    matrices = [np.concatenate(weights[:2], 1), weights[2], *np.split(targets, 4)]
    vectors = [*biases[:2], *np.split(biases[2], 4)]
    with torch.no_grad():
        for layer, matrix, vector in zip(layers, matrices, vectors, strict=True):
            layer.weight.copy_(torch.from_numpy(matrix))
            layer.bias.copy_(torch.from_numpy(vector))
    return theirs


for variant, mode, is_irregular in (
    ("", "default", False),
    ("irregular", "default", True),
    ("no_gate", "no_gate", True),
):
    theirs = make_theirs(mode)
    elapsed = times if is_irregular else np.ones_like(times)
    state, outputs = torch.from_numpy(h), []
    with torch.no_grad():
        for x_t, elapsed_t in zip(torch.from_numpy(x).unbind(1), torch.from_numpy(elapsed).unbind(1), strict=True):
            output, state = theirs(x_t, state, elapsed_t)
            outputs.append(output)
    write(
        "cfc",
        variant=variant,
        computed_by="ncps 1.0.1, CfCCell",
        parameters={
            "weight_ih": weights[0],
            "weight_hh": weights[1],
            "bias": biases[0],
            "layers.0.weight": weights[2],
            "layers.0.bias": biases[1],
            "layers.1.weight": targets,
            "layers.1.bias": biases[2],
        },
        x=np.concatenate([elapsed, x], -1) if is_irregular else x,
        state={"h": h},
        output=torch.stack(outputs, 1).numpy(),
        final_state={"h": state.numpy()},
        hidden_size=HIDDEN_SIZE,
        options={
            "mode": mode,
            "backbone_units": UNITS,
            "backbone_layers": 2,
            "time_feature": 0 if is_irregular else None,
        },
    )
