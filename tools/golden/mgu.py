"""Golden values of `mgu` from torchrecurrent 0.2.5, which computes the equations of the paper.

The gate of a variant is the full one with zeros in place of the parameters that the variant leaves out.
"""

from __future__ import annotations

import numpy as np
import torchrecurrent  # pip install torchrecurrent==0.2.5

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write
from tools.golden.run_cell import run_cell

LEFT_OUT = {"mgu": [], "mgu1": ["weight_if"], "mgu2": ["weight_if", "bias_f"], "mgu3": ["weight_if", "weight_hf"]}

x, h = draw(7, BATCH, TIME, INPUT_SIZE), draw(8, BATCH, HIDDEN_SIZE)
parameters = {
    "weight_if": draw(1, HIDDEN_SIZE, INPUT_SIZE),
    "weight_in": draw(2, HIDDEN_SIZE, INPUT_SIZE),
    "weight_hf": draw(3, HIDDEN_SIZE, HIDDEN_SIZE),
    "weight_hn": draw(4, HIDDEN_SIZE, HIDDEN_SIZE),
    "bias_f": draw(5, HIDDEN_SIZE),
    "bias_n": draw(6, HIDDEN_SIZE),
}
for variant, left_out in LEFT_OUT.items():
    full = {name: 0 * value if name in left_out else value for name, value in parameters.items()}
    theirs = {
        "weight_ih": np.concatenate([full["weight_if"], full["weight_in"]]),
        "weight_hh": np.concatenate([full["weight_hf"], full["weight_hn"]]),
        "bias_ih": np.concatenate([full["bias_f"], full["bias_n"]]),
    }
    output, final = run_cell(torchrecurrent.MGUCell(INPUT_SIZE, HIDDEN_SIZE), theirs, x, (h,))
    write(
        "mgu",
        variant="" if variant == "mgu" else variant,
        computed_by="torchrecurrent 0.2.5, MGUCell",
        parameters={name: value for name, value in parameters.items() if name not in left_out},
        x=x,
        state={"h": h},
        output=output,
        final_state={"h": final[0]},
        hidden_size=HIDDEN_SIZE,
        options={"variant": variant},
    )
